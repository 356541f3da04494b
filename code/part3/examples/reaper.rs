//! Starts a program, and reaps whatever comes to it as process 1 until that has ended.
//!
//!     cargo run -p part3 --example reaper -- PROGRAM [ARGUMENTS]

// ANCHOR: program
use nix::errno::Errno;
use nix::sys::wait::{wait, WaitStatus};
use std::error::Error;
use std::io::{self, Write};
use std::process::{Command, ExitCode};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut words = std::env::args_os().skip(1);
    let name = words.next().ok_or("usage: reaper PROGRAM [ARGUMENTS]")?;
    let program = Command::new(&name).args(words).spawn();
    let program = program.map_err(|error| format!("start {name:?}: {error}"))?;
    let program = program.id() as i32;

    let mut terminal = io::stdout();
    loop {
        match wait() {
            Ok(WaitStatus::Exited(child, code)) if child.as_raw() == program => {
                return Ok(ExitCode::from(code as u8));
            }
            Ok(WaitStatus::Signaled(child, signal, _)) if child.as_raw() == program => {
                return Ok(ExitCode::from(128 + signal as u8)); // as a shell says it
            }
            Err(Errno::ECHILD) => return Ok(ExitCode::FAILURE),
            how => {
                let _ = writeln!(terminal, "reaper: {how:?}");
            }
        }
    }
}
// ANCHOR_END: program

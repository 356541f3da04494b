// What an application finds around it, in `webserver3h` with this one built in (this
// text is put behind that program's): the answer is a line of what it knows of itself
// and of a child that it has started. At `/leaves` that child goes on without it. And
// when it is loaded it starts a thread, in the parent, which starts two programs: one
// it never asks for, and one for which it asks a little late.

const HOW: nix::sys::wait::WaitPidFlag =
    nix::sys::wait::WaitPidFlag::WEXITED.union(nix::sys::wait::WaitPidFlag::WNOWAIT);

fn start_programs() {
    use nix::sys::wait::{waitid, Id};
    use std::process::Command;
    std::thread::spawn(|| {
        // Until the server has its handlers.
        let status = || std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let caught = || {
            let status = status();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            u64::from_str_radix(caught.unwrap_or("0").trim(), 16).unwrap_or(0)
        };
        while caught() >> (libc::SIGCHLD - 1) & 1 == 0 {
            std::thread::yield_now();
        }
        let left = Command::new("sh").args(["-c", "exit 2"]).spawn().unwrap();
        let mut asked = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
        for child in [left.id(), asked.id()] {
            // Fails where somebody else has reaped it.
            let _ = waitid(Id::Pid(nix::unistd::Pid::from_raw(child as i32)), HOW);
        }
        // The server has had its time to reap, says the test.
        let mark = std::env::temp_dir().join(format!("curious-{}", std::process::id()));
        while !mark.exists() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        match asked.wait() {
            Ok(status) => eprintln!("the program: {status}"),
            Err(error) => eprintln!("the program: {error}"),
        }
    });
}

static VISITS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

fn curious(environ: gateway::Environ, mut start: gateway::StartResponse) -> gateway::Result<gateway::Body> {
    use nix::sys::wait::{waitid, Id};
    use std::process::Command;
    if environ.get("PATH_INFO") == Some(b"/leaves") {
        Command::new("sleep").arg("1000").spawn()?;
    }
    let visits = VISITS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
    let mut child = Command::new("true").spawn()?;
    // It has ended, and is left as it is, unless a handler has been quicker.
    let id = Id::Pid(nix::unistd::Pid::from_raw(child.id() as i32));
    let _ = waitid(id, HOW);
    let child = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
    let gateway::Environ { multithread, multiprocess, run_once, .. } = environ;
    start.start("200 OK", Vec::new())?;
    Ok(gateway::Body::from(format!(
        "visits: {visits}; multithread, multiprocess, run_once: {multithread}, {multiprocess}, \
         {run_once}; child: {child}"
    )))
}

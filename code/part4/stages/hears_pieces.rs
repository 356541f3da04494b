//! hears_pieces: shows how many bytes have come.
//!
//!     cargo run --bin hears_pieces -- SIZE < FILE

use std::env;
use std::io::{self, Read};
use std::process::ExitCode;

fn main() -> ExitCode {
    let size = env::args().nth(1).and_then(|size| size.parse().ok());
    match show(size.unwrap_or(1000)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Shows what comes, in pieces of so many bytes.
fn show(size: usize) -> gateway::Result<()> {
    let mut piece = vec![0; size];
    let mut bytes = Vec::new();
    loop {
        let received = io::stdin().read(&mut piece)?;
        if received == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&piece[..received]);
        println!("{} bytes", bytes.len());
    }
}

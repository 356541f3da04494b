//! Shows what a machine for HTTP/1.1 makes of the bytes on its standard input, which it is
//! given in pieces of as many bytes as the argument says.
//!
//!     cargo run -p part4 --example events -- SIZE

// ANCHOR: program
use gateway::http::Limits;
use gateway::http1::{Event, Machine, Patience};
use std::io::{stdin, Read};
use std::time::Instant;

fn main() -> gateway::Result<()> {
    let size = std::env::args().nth(1).unwrap_or("1000".to_string());
    let mut piece = vec![0; size.parse()?];
    let now = Instant::now();
    let mut machine = Machine::new(&Limits::DEFAULT, &Patience::DEFAULT, now);
    let mut bytes = Vec::new();
    loop {
        let read = stdin().read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&piece[..read]);
        while take(&mut machine, &mut bytes, now)? {}
    }
}

/// Takes one event, and says whether there may be another.
fn take(machine: &mut Machine, bytes: &mut Vec<u8>, now: Instant) -> gateway::Result<bool> {
    let (used, event) = machine.read(bytes, now);
    let (mut more, mut answer) = (true, None);
    match event {
        Event::Head(head) => println!("{} {}", head.method, head.target.escape_ascii()),
        Event::Body(piece) => println!("  {:?}", String::from_utf8_lossy(piece)),
        Event::End(_) => answer = machine.answer(),
        Event::Refused(refused) => println!("  {refused}"),
        Event::More | Event::Paused | Event::Closed => more = false,
    }
    bytes.drain(..used);
    if let Some(mut answer) = answer {
        answer.begin(204, None);
        answer.end(&[], &mut Vec::new())?;
        println!("  answered, kept: {}", answer.keeps());
        machine.answered(answer, now);
    }
    Ok(more)
}
// ANCHOR_END: program

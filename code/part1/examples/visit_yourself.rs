//! A program that visits itself: it is connected, and has asked, before it accepts.
//!
//!     cargo run -p part1 --example visit_yourself

// ANCHOR: program
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?; // 0: any port that is free
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    println!("connected");
    client.write_all(b"Is anybody there?")?;
    println!("asked");

    let (mut server, _) = listener.accept()?;
    println!("accepted");
    let mut question = [0; 100];
    let received = server.read(&mut question)?;
    println!("{}", String::from_utf8_lossy(&question[..received]));
    Ok(())
}
// ANCHOR_END: program

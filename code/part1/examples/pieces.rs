//! How many reads find what one write sent, and the other way round.
//!
//!     cargo run -p part1 --example pieces

// ANCHOR: program
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    let mut buffer = [0; 1024];

    client.write_all(b"Hello, ")?;
    client.write_all(b"World!")?;
    while server.peek(&mut buffer)? < 13 {} // until all has arrived
    println!("two writes; read: {}", server.read(&mut buffer)?);

    client.write_all(&[b'x'; 3000])?;
    drop(client);
    println!("one write");
    loop {
        match server.read(&mut buffer)? {
            0 => return Ok(()),
            received => println!("read: {received}"),
        }
    }
}
// ANCHOR_END: program

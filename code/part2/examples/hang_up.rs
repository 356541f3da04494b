//! A server that ends its connections in the steps that it is told, in their order.
//!
//!     cargo run -p part2 --example hang_up -- announce read
//!
//! `announce` closes its own direction, and `read` reads until the client closes the
//! other, for two seconds at most. The close comes last.

// ANCHOR: program
use std::env;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

fn main() -> io::Result<()> {
    let steps: Vec<String> = env::args().skip(1).collect();
    let listener = TcpListener::bind("127.0.0.1:8888")?;
    println!("listening");
    loop {
        let (connection, _) = listener.accept()?;
        let _ = serve(connection, &steps); // an error is its client's
    }
}

fn serve(mut connection: TcpStream, steps: &[String]) -> io::Result<()> {
    connection.read_exact(&mut [0; 1000])?;
    connection.write_all(&[b'x'; 1_000_000])?;
    for step in steps {
        if step == "announce" {
            connection.shutdown(Shutdown::Write)?;
        } else if step == "read" {
            connection.set_read_timeout(Some(Duration::from_secs(2)))?;
            while connection.read(&mut [0; 1024])? > 0 {}
        }
    }
    Ok(()) // and it is closed
}
// ANCHOR_END: program

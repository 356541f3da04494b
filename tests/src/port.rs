//! Ports for servers that must be told one.

use std::io::ErrorKind;
use std::net::{TcpStream, UdpSocket};

/// A free port of four digits, as the page's are, so that columns and lengths
/// stay the same. It lies below the ports that the system hands out, and where
/// no port is that browsers refuse to visit (6000 and 6665, for instance).
pub struct Port {
    /// The number.
    pub number: u16,
    /// Keeps the number from other pages, also of other processes: whoever
    /// wants the TCP port takes the UDP port of that number first.
    _reserved: UdpSocket,
}

impl Port {
    /// Looks for one.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn free() -> Port {
        // From a different place in each process, so that they seldom meet.
        let start = std::process::id() as u16 % 1000;
        for step in 0..2900 {
            let number = 7001 + (start * 3 + step) % 2900;
            if number == 8888 {
                continue; // the page's own would be taken for another's
            }
            let Ok(reserved) = UdpSocket::bind(("127.0.0.1", number)) else {
                continue;
            };
            if is_free(number) {
                return Port {
                    number,
                    _reserved: reserved,
                };
            }
        }
        panic!("there is no free port of four digits");
    }
}

/// Whether nobody listens at this port. It is not bound to find out: a listener, once
/// inherited by a child that another thread forks meanwhile, would keep the server from
/// the port until that child has executed something.
fn is_free(port: u16) -> bool {
    let visit = TcpStream::connect(("127.0.0.1", port));
    visit.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

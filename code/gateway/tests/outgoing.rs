//! What waits to be sent.

use gateway::outgoing::{Outgoing, Output};
use std::io::{self, ErrorKind, IoSlice, Write};

/// Takes so many bytes of each write, or none for now.
struct Narrow {
    room: Vec<usize>,
    came: Vec<u8>,
    writes: usize,
}

impl Narrow {
    fn new(room: Vec<usize>) -> Narrow {
        Narrow {
            room,
            came: Vec::new(),
            writes: 0,
        }
    }
}

impl Write for Narrow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice]) -> io::Result<usize> {
        self.writes += 1;
        match self.room.pop() {
            Some(0) => Err(ErrorKind::WouldBlock.into()),
            room => {
                let slices: Vec<&[u8]> = slices.iter().map(|slice| &slice[..]).collect();
                let bytes = slices.concat();
                let size = bytes.len().min(room.unwrap_or(usize::MAX));
                self.came.extend_from_slice(&bytes[..size]);
                Ok(size)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// However small and large things follow each other, and however little room there is:
/// they come in their order, and once.
#[test]
fn what_is_sent_is_what_was_given() {
    let mut random: u32 = 1;
    let mut below = |end: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % end
    };
    let bytes = (0..=u8::MAX).collect::<Vec<u8>>().repeat(275);
    for _ in 0..200 {
        let mut room = Vec::new();
        while room.len() < 60 {
            let most = [3, 100, 70_000, 200_000][below(4)];
            room.push(below(most));
        }
        let mut client = Narrow::new(room);
        let (mut outgoing, mut given) = (Outgoing::default(), Vec::new());
        for place in 0..30 {
            let most = [3, 100, 70_000][below(3)];
            let bytes = &bytes[place..place + below(most)];
            if below(2) == 0 {
                outgoing.give(b"<", bytes.to_vec(), b">").unwrap();
                given.extend([b"<", bytes, b">"].concat());
            } else {
                outgoing.put(bytes).unwrap();
                given.extend_from_slice(bytes);
            }
            if below(2) == 0 {
                outgoing.send(&mut client).unwrap();
            }
            assert_eq!(outgoing.len(), given.len() - client.came.len());
        }
        while !outgoing.is_empty() {
            outgoing.send(&mut client).unwrap();
        }
        assert!(client.came == given);
        let before = client.writes;
        assert_eq!(outgoing.send(&mut client).unwrap(), 0);
        assert_eq!(client.writes, before);
    }
}

/// And a large chunk is written from where it is.
#[test]
fn what_waits_is_one_write() {
    let mut client = Narrow::new(Vec::new());
    let mut outgoing = Outgoing::default();
    for _ in 0..2 {
        outgoing.put(b"head").unwrap();
        outgoing
            .give(b"5000\r\n", vec![b'x'; 0x5000], b"\r\n")
            .unwrap();
    }
    assert_eq!(
        outgoing.send(&mut client).unwrap(),
        2 * (4 + 6 + 0x5000 + 2)
    );
    assert_eq!(client.writes, 1);
}

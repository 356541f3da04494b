//! Calls the application of the series a million times, as a server would, and
//! says how long a call took.

use gateway::{respond, Environ};
use std::io;
use std::time::Instant;

const CALLS: u32 = 1_000_000;

fn main() {
    let start = Instant::now();
    for _ in 0..CALLS {
        respond(&apps::wsgiapp::app, Environ::testing_defaults(), io::sink());
    }
    println!("{:?} a call", start.elapsed() / CALLS);
}

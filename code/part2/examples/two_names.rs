//! What two applications take for the name in a `Host`.
//!
//!     cargo run -p part2 --example two_names -- HOST...

// ANCHOR: program
fn main() {
    for host in std::env::args().skip(1) {
        let first = host.split(':').next().unwrap_or_default();
        let last = host.rsplit_once(':').map_or(&*host, |(name, _)| name);
        println!("{host}: {first} or {last}");
    }
}
// ANCHOR_END: program

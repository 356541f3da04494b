//! Requests of libFuzzer's making. `invariants.rs` says what must hold for one of them,
//! `machine.rs` for all of a connection; the README how to run this.

#![no_main]

mod by_hyper;
mod invariants;
mod machine;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariants::check(bytes);
    machine::check(bytes);
    let cut = bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % (bytes.len() + 1);
    machine::check_cut(bytes, vec![cut]);
    by_hyper::check(bytes);
});

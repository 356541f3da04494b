//! Requests of libFuzzer's making. `invariants.rs` says what must hold for them;
//! the README how to run this.

#![no_main]

mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| invariants::check(bytes));

//! Every snippet compiles, and runs unless its block says `no_run`.

include!(concat!(env!("OUT_DIR"), "/skeptic-tests.rs"));

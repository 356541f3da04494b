//! Programs of the course with a change in each, all in one executable: the name under
//! which it is started says which. They are the wrong answers to the exercises (the
//! solution with a mistake that a reader could make: `../wrong`) and those that a test
//! needs with something else inside: `../build.rs` puts them together.

include!(concat!(env!("OUT_DIR"), "/changed.rs"));

//! The wrong answers to the exercises, all in one program: the name under which it is
//! started says which. Each is the solution with a mistake that a reader could make;
//! the files beside this one tell which, and `build.rs` puts them together.

include!(concat!(env!("OUT_DIR"), "/wrong_answers.rs"));

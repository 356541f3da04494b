//! The suite: what the course promises, in one binary, a module for each kind of
//! promise. `cargo test --test suite MODULE::` runs one of them, and
//! `cargo test --test suite MODULE::NAME` one test.

#[cfg(target_os = "linux")]
mod bench;
mod book_server;
#[cfg(feature = "browser")]
mod browser;
mod comparison;
mod debts;
mod exercises;
mod house;
mod leftovers;
mod lines;
mod my_gateway;
mod pages;
mod part3;
mod properties;
#[cfg(feature = "browser")]
mod published;
#[cfg(feature = "python")]
mod python;
mod runtimes;
mod snippets;
mod transcripts;
mod webserver1;
mod webserver2;
mod workflows;

//! The tests of the gateway, in one binary. `cargo test -p gateway -- NAME` runs those
//! whose name has NAME in it, a module's among them.

mod common;

mod access_log;
mod compiler;
mod head;
mod http1;
mod incoming;
mod interface;
mod log;
mod operator;
mod options;
mod request_body;
mod respond;
mod validator;

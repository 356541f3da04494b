//! Every snippet compiles, and runs unless its block says `no_run`.

use std::panic;
use tests::wait_for;

include!(concat!(env!("OUT_DIR"), "/skeptic-tests.rs"));

/// Compiles a snippet that runs, unless it has been, and runs it. Skeptic writes the
/// executable into its cache while other tests start programs; one of those holds it
/// open until its `exec`, and then it cannot be run: it is run again from the cache.
fn run(package: &str, out: &str, target: &str, snippet: &str) {
    wait_for("the end of the writing", || {
        let run = || skeptic::rt::run_test(package, out, target, snippet);
        let Err(panic) = panic::catch_unwind(run) else {
            return Some(());
        };
        let said = panic.downcast_ref::<String>();
        let busy = said.is_some_and(|said| said.contains("(os error 26)")); // ETXTBSY
        match busy {
            true => None,
            false => panic::resume_unwind(panic),
        }
    });
}

/// Those from the side of Python compile with it, in their programs.
#[test]
fn python_inside() {
    let check = "the snippets of Python inside, and the applications of Python's";
    if !cfg!(feature = "python") {
        let how = "cargo test --test suite --features tests/python python";
        tests::say(&format!("not checked: {check}: {how}"));
    } else if tests::python::can_check(check) {
        tests::python::executable("webserver3h");
    }
}

//! Every snippet compiles, and runs unless its block says `no_run`.

include!(concat!(env!("OUT_DIR"), "/skeptic-tests.rs"));

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

//! What forks, in a program of its own: `examples/forked.rs`. What becomes of a
//! runtime that was built before fork is tested by tests/suite/runtimes.rs.

use crate::asking;
use std::path::PathBuf;
use std::process::Command;

/// Everybody answers, in the parent and in 16 children.
#[test]
fn applications_answer_in_forked_children() {
    for name in asking::FRAMEWORKS {
        let output = run("forked", name);
        let wanted = format!("{name}: 16 of 16 children answered, and their parent\n");
        assert_eq!(output, wanted);
    }
}

/// What an example prints.
fn run(example: &str, argument: &str) -> String {
    let mut command = Command::new(executable(example));
    let output = command.arg(argument).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example} {argument}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Cargo builds the examples with the tests, unless it was asked for this one
/// alone: so it is asked again, with the features that this was built with. With those of
/// `cargo test` at the top it is asked there, where nothing is compiled once more.
fn executable(example: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked"]);
    match asking::FRAMEWORKS {
        ["axumapp:app"] => {
            let top = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
            cargo.current_dir(top)
        }
        others => {
            let names = others.iter().map(|name| name.trim_end_matches("app:app"));
            let names: Vec<&str> = names.collect();
            cargo.args(["-p", "apps", "--features", &names.join(",")])
        }
    };
    cargo.args([
        "--example",
        example,
        "--message-format=json-render-diagnostics",
    ]);
    let output = cargo.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");

    let messages = String::from_utf8(output.stdout).unwrap();
    let (_, path) = messages.split_once("\"executable\":\"").unwrap();
    PathBuf::from(path.split('"').next().unwrap())
}

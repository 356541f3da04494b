//! What forks, each in a program of its own: `examples/forked.rs` and
//! `examples/shared_runtime.rs`.

use std::path::PathBuf;
use std::process::Command;

mod asking;

/// Everybody answers, in the parent and in 16 children.
#[test]
fn applications_answer_in_forked_children() {
    for name in asking::FRAMEWORKS {
        let output = run("forked", name);
        let wanted = format!("{name}: 16 of 16 children answered, and their parent\n");
        assert_eq!(output, wanted);
    }
}

/// Why the adapters make their runtime in the child. On Linux whoever began to
/// wait last is woken, and takes away what was meant for another.
#[test]
#[cfg(target_os = "linux")]
fn a_runtime_of_the_parent_hangs_its_children() {
    let output = run("shared_runtime", "");
    let hung: usize = output.split(' ').next().unwrap().parse().unwrap();
    assert!(hung >= 1, "{output}");
}

#[test]
fn a_runtime_of_ones_own_does_not() {
    let output = run("shared_runtime", "own");
    assert_eq!(output, "0 of 16 children never heard of their byte\n");
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
/// alone: so it is asked again, with the features that this was built with.
fn executable(example: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "-p", "apps"]);
    if !cfg!(feature = "default") {
        cargo.arg("--no-default-features");
    }
    for name in asking::FRAMEWORKS {
        cargo.args(["--features", name.trim_end_matches("app:app")]);
    }
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

//! Why the adapters of frameworks make their runtime in the child that answers.

use tests::at_last;
use tests::programs::command;

/// On Linux whoever began to wait last is woken, and takes away what was meant for
/// another.
#[test]
#[cfg(target_os = "linux")]
fn a_runtime_of_the_parent_hangs_its_children() {
    let output = shared_runtime(&[]);
    let hung = output.strip_suffix(" of 16 children never heard of their byte\n");
    let hung: usize = hung.and_then(|hung| hung.parse().ok()).unwrap_or_default();
    assert!(hung >= 1, "{output}");
}

/// Each has three seconds, of which it should need one. A busy machine may take the rest,
/// but not each time.
#[test]
fn a_runtime_of_ones_own_does_not() {
    let mut output = String::new();
    let none = at_last(|| {
        output = shared_runtime(&["own"]);
        output == "0 of 16 children never heard of their byte\n"
    });
    assert!(none, "{output}");
}

/// What `code/apps/examples/shared_runtime.rs` prints.
fn shared_runtime(arguments: &[&str]) -> String {
    let mut command = command("shared_runtime");
    let output = command.args(arguments).output().expect("it was built");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

//! The small programs of `code/part3/examples`, and what comes of a changed one.

use crate::changed;
use nix::sys::signal::Signal;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tests::programs::{check_alone, course, executable};
use tests::server::{run_to_end, Group};
use tests::{left_out, wait_for};

/// What an example prints.
fn printed(name: &str, arguments: &[&str]) -> String {
    printed_by(executable(name), arguments)
}

fn printed_by(program: PathBuf, arguments: &[&str]) -> String {
    let mut command = Command::new(&program);
    let (code, output, errors) = run_to_end(command.args(arguments));
    assert_eq!(code, Some(0), "{}: {errors}", program.display());
    output
}

/// The number before `MB its own` in the line that begins like this.
fn megabytes(output: &str, begins: &str) -> u64 {
    let line = output.lines().find(|line| line.starts_with(begins));
    let number = line.and_then(|line| line.strip_prefix(begins)?.strip_suffix(" MB its own"));
    let number = number.and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no number in the line {begins:?} of {output}"))
}

#[test]
fn a_page_is_copied_when_it_is_written() {
    if !PathBuf::from("/proc/self/smaps_rollup").exists() {
        return left_out("whose memory is whose", "/proc/PID/smaps_rollup");
    }
    let output = printed("copy_on_write", &[]);
    assert_eq!(megabytes(&output, "parent: "), 64, "{output}");
    assert_eq!(megabytes(&output, "child: "), 0, "{output}");
    assert_eq!(
        megabytes(&output, "child, 16384 pages read: "),
        0,
        "{output}"
    );
    assert_eq!(megabytes(&output, "child, 16 MB written: "), 16, "{output}");
    let faults = output
        .lines()
        .find_map(|line| line.strip_prefix("page faults: "));
    let faults: u64 = faults.and_then(|number| number.parse().ok()).unwrap();
    // Pages of another size make fewer of them.
    let huge = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    if !huge.is_ok_and(|choice| choice.contains("[always]")) {
        assert!((4_096..4_200).contains(&faults), "{output}");
    }
    assert!(output.ends_with("parent, first byte 1\n"), "{output}");
}

#[test]
fn a_buffer_is_written_out_by_each_process_that_exits() {
    assert_eq!(printed("printed_twice", &[]), "printed once ");
    let twice = "printed once printed once ";
    assert_eq!(printed("printed_twice", &["exit"]), twice);
}

#[test]
fn signals_that_are_blocked_meet_in_one_bit() {
    let at_once = "128 sent, 128 calls\nunblocked, 128 calls\n";
    assert_eq!(printed("count_signals", &[]), at_once);
    let later = "128 sent, 0 calls\nunblocked, 1 calls\n";
    assert_eq!(printed("count_signals", &["blocked"]), later);
}

/// The lock belongs to the code under the handler, on the same stack.
#[test]
fn a_handler_waits_for_ever_for_the_lock_it_has_interrupted() {
    let mut command = Command::new(executable("held_up"));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = Group::spawn(&mut command);
    let mut output = BufReader::new(process.0.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "between two uses: [\"USR1\"]\n");
    let pid = process.0.id();
    // In the futex, with the signal blocked: it is in its handler.
    let usr1 = 1u64 << (Signal::SIGUSR1 as u32 - 1);
    if PathBuf::from("/proc/self/status").exists() {
        wait_for("a handler that sleeps", || {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let asleep = status.contains("State:\tS");
            let mask = status
                .lines()
                .find_map(|line| line.strip_prefix("SigBlk:\t"));
            let mask = u64::from_str_radix(mask.unwrap_or_default(), 16).unwrap_or(0);
            (asleep && mask & usr1 != 0).then_some(())
        });
    }
    assert_eq!(process.0.try_wait().unwrap(), None);
}

#[test]
fn an_end_that_the_reader_holds_up_itself_does_not_come() {
    let after = |close, death| {
        format!(
            "after the parent's close, at its end: {close}\n\
             after the child's death, at its end: {death}\n"
        )
    };
    assert_eq!(printed("one_close_of_two", &[]), after(false, true));
    let without = printed_by(changed("without_a_close"), &[]);
    assert_eq!(without, after(false, false));
}

/// The listener was moved into a `drop`, and the next turn of the loop wants it.
#[test]
fn a_child_that_comes_back_does_not_compile() {
    let server = course().program("webserver3c").cloned();
    let server = server.expect("it is in the table");
    let exit = "                unsafe { libc::_exit(0) }\n";
    let text = server.source();
    assert_eq!(text.matches(exit).count(), 1);
    let texts = [("no_exit".to_string(), text.replace(exit, ""))];
    let copies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("copies");
    let dependencies = format!("[dependencies]\n{}", server.dependencies.join("\n"));
    let checked = check_alone(&copies, "no-exit", &texts, &dependencies);
    let error = checked.expect_err("it compiles");
    let expected = "error[E0382]: borrow of moved value: `listener`";
    assert!(error.contains(expected), "{error}");
}

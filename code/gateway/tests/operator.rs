//! What is said on the standard error: seen from outside, by running a test of
//! this file as a process of its own.

use crate::common::{run, split};
use gateway::{headers, respond, Body, Environ, StartResponse};
use std::io::{self, Write};
use std::process::{Command, Stdio};

/// The process that runs that test, which is marked `ignore` because it is not a
/// test of its own.
fn process(test: &str) -> Command {
    let module = module_path!(); // its first part is this program
    let path = module
        .split_once("::")
        .map_or(String::new(), |(_, rest)| format!("{rest}::"));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command.arg(format!("{path}{test}")).stdout(Stdio::piped());
    command
}

/// What it says to an operator who reads.
fn said(test: &str) -> String {
    let output = process(test).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(out.contains("1 passed"), "{out}");
    said
}

/// It does the same where the reader of its standard error has gone.
fn survives(test: &str) {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let output = process(test).stderr(writer).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && out.contains("1 passed"), "{out}");
}

#[test]
#[ignore = "a process of `a_field_that_is_left_out_is_told_of_once`"]
fn leaves_fields_out() {
    for name in ["Connection", "connection", "Upgrade", "UPGRADE", "X-Kept"] {
        for _ in 0..3 {
            let (answer, _) = run(move |_: Environ, mut start_response: StartResponse| {
                start_response.start("200 OK", headers([(name, "x")]))?;
                Ok(Body::from("seen"))
            });
            assert_eq!(split(&answer).2, "seen");
        }
    }
}

#[test]
fn a_field_that_is_left_out_is_told_of_once() {
    let wanted = |name: &str| {
        format!(
            "the application's field {name} is left out of its answers: it is about the \
             connection, which is the server's\n"
        )
    };
    let said = said("leaves_fields_out");
    assert_eq!(said, wanted("Connection") + &wanted("Upgrade"));
    survives("leaves_fields_out");
}

#[test]
#[ignore = "a process of `what_an_application_says_is_printable`"]
fn complains() {
    let app = |mut environ: Environ, mut start_response: StartResponse| {
        let text = "one \u{1b}[31mred\r \u{9b}2J\0\x7f\u{8}\ttab é ✓\ntwo\n";
        environ.errors.write_all(text.as_bytes())?;
        environ.errors.write_all(b"three \xff\xfe\n")?;
        writeln!(environ.errors, "four {}", 4)?;
        environ.errors.flush()?;
        start_response.start("200 OK", headers([]))?;
        Ok(Body::from("seen"))
    };
    let outcome = respond(&app, Environ::testing_defaults(), io::sink());
    assert!(outcome.error.is_none() && outcome.body == 4);
}

/// A terminal finds nothing to obey in it, and its lines stay lines.
#[test]
fn what_an_application_says_is_printable() {
    let wanted = "one \\u{1b}[31mred\\r \\u{9b}2J\\u{0}\\u{7f}\\u{8}\ttab é ✓\ntwo\n\
                  three \u{fffd}\u{fffd}\nfour 4\n";
    assert_eq!(said("complains"), wanted);
    survives("complains");
}

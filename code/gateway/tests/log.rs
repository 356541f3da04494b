//! The server's own words.

use std::process::Command;

/// A panic may quote a client, and is read at a terminal.
#[test]
fn a_panic_writes_no_control_characters() {
    const PANICS: &str = "A_PROCESS_THAT_PANICS";
    if std::env::var_os(PANICS).is_some() {
        gateway::log::complain_of_panics();
        panic!("\x1b[31mred\r\u{9b}2J\nand a second line");
    }
    let name = "log::a_panic_writes_no_control_characters";
    for backtrace in ["0", "1"] {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", name, "--nocapture"]);
        let output = again.env(PANICS, "").env("RUST_BACKTRACE", backtrace);
        let errors = output.output().unwrap().stderr;
        let errors = String::from_utf8(errors).expect("it is text");
        let told = "\\u{1b}[31mred\\r\\u{9b}2J\nand a second line\n";
        assert!(errors.contains(told), "{errors:?}");
        let allowed = |c: char| !c.is_control() || c == '\n';
        assert!(errors.chars().all(allowed), "{errors:?}");
        let trace = errors.contains("0: ") && errors.contains(name);
        assert_eq!(trace, backtrace == "1", "{errors}");
    }
}

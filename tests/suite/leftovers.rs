//! What the tests have started ends with them, also when they are killed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use tests::processes::state;
use tests::server::Server;
use tests::terminal::Terminal;
use tests::{wait_for, LIMIT};

/// Set where this test is the one that is killed.
const KILLED: &str = "COURSE_TESTS_ARE_KILLED";

#[test]
fn a_server_ends_with_the_tests_that_started_it() {
    if std::env::var_os(KILLED).is_some() {
        // One that has been ended is no more their business.
        drop(Server::start("webserver1"));
        let server = Server::start("webserver1");
        println!("\nserver {}", server.pid());
        loop {
            std::thread::park();
        }
    }
    let mut tests = Command::new(std::env::current_exe().unwrap());
    let (_, module) = module_path!().split_once("::").unwrap();
    let name = format!("{module}::a_server_ends_with_the_tests_that_started_it");
    tests
        .args(["--exact", &name, "--nocapture"])
        .env(KILLED, "");
    let mut tests = tests.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tests.stdout.take().unwrap()).lines();
    let server = lines.find_map(|line| line.unwrap().strip_prefix("server ")?.parse().ok());
    let server: u32 = server.expect("it names its server");
    assert!(!matches!(state(server), None | Some('Z')), "it serves");
    tests.kill().unwrap();
    tests.wait().unwrap();
    wait_for("the end of the server", || {
        matches!(state(server), None | Some('Z')).then_some(())
    });
}

#[test]
fn what_runs_in_the_background_of_a_terminal_ends_with_it() {
    let mut terminal = Terminal::open(&book::root(), &[]);
    terminal.command("sleep 1000 & echo background $!.");
    assert!(terminal.wait(LIMIT, |_| false), "the prompt comes back");
    let screen = terminal.take();
    let number = screen.split("background ").last().unwrap();
    let number: u32 = number.split('.').next().unwrap().parse().unwrap();
    assert!(!matches!(state(number), None | Some('Z')), "it runs");
    drop(terminal);
    wait_for("the end of what ran in the background", || {
        matches!(state(number), None | Some('Z')).then_some(())
    });
}

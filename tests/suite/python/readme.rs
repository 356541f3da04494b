//! The commands of the README.

use super::text;
use std::fs;
use std::process::Command;
use tests::python::{can_check, environment, Visitor};
use tests::server::Server;

/// Its third command, with an address of our own.
#[test]
fn the_readmes_command_serves() {
    if !can_check("the README's command") {
        return;
    }
    let readme = fs::read_to_string(book::root().join("README.md")).expect("there is one");
    let command = readme
        .lines()
        .find(|line| line.starts_with("cd code/apps/python && cargo run"));
    let command = command.expect("it stands in the README");
    let sh = |line: &str| {
        let mut sh = Command::new("sh");
        sh.args(["-c", line]).current_dir(book::root());
        sh.env("VIRTUAL_ENV", environment())
            .env_remove("PYO3_PYTHON");
        sh.env("CARGO_TARGET_DIR", tests::python::target());
        sh.env("PYTHONDONTWRITEBYTECODE", "1");
        sh
    };
    let with_processes = command.replace("part2", "part3h");
    let with_processes = with_processes.replace("webserver2", "webserver3h");
    for command in [command, &with_processes] {
        let (build, _) = command.split_once(" -- ").expect("it names an application");
        let build = sh(&build.replace("cargo run", "cargo build --quiet")).output();
        let build = build.expect("every Unix has sh");
        let errors = String::from_utf8_lossy(&build.stderr);
        assert!(build.status.success(), "{errors}");

        let server = Server::spawn("README.md", sh(&format!("{command} 127.0.0.1:0")));
        let server = server.unwrap_or_else(|error| panic!("{error}"));
        let hello = Visitor::new(&server).get("/hello");
        let said = ("200 OK", "Hello world from Flask!\n".to_string());
        assert_eq!(text(&hello), said, "{command}");
    }
}

/// The chapter has the README's commands, word for word.
#[test]
fn the_chapter_sets_up_as_the_readme_does() {
    let read = |file: &str| fs::read_to_string(book::root().join(file)).expect("it is there");
    let readme = read("README.md");
    let section = readme.split("## Python's applications").nth(1);
    let commands = section.and_then(|section| section.split("```").nth(1));
    let commands = commands.expect("the section has a block");
    assert_eq!(commands.lines().count(), 4, "{commands}");
    let page = read("book/part2/flask-pyramid-django.md");
    assert!(page.contains(commands), "the page has no\n{commands}");
}

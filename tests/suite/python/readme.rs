//! The commands of the README.

use super::text;
use std::fs;
use std::process::Command;
use tests::python::{can_check, environment, Site, Visitor};
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

/// Its block for the reader's own application, in a home where the path that it gives
/// is this repository's.
#[test]
fn the_readmes_program_serves_a_module_of_another_folder() {
    if !can_check("the README's command for another folder") {
        return;
    }
    let readme = fs::read_to_string(book::root().join("README.md")).expect("there is one");
    let mut blocks = readme
        .split("```")
        .filter(|block| block.contains("~/my-site"));
    let block = blocks.next().expect("it stands in the README");
    let [build, run] = block.lines().skip(1).collect::<Vec<_>>()[..] else {
        panic!("two commands: {block}");
    };
    let sh = |line: &str| {
        let mut sh = Command::new("sh");
        sh.args(["-c", line]).current_dir(book::root());
        sh.env("VIRTUAL_ENV", environment())
            .env_remove("PYO3_PYTHON");
        sh.env("CARGO_TARGET_DIR", tests::python::target());
        sh.env("PYTHONDONTWRITEBYTECODE", "1");
        sh
    };
    let built = sh(build).output().expect("every Unix has sh");
    let errors = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{errors}");

    let home = Site::empty();
    let repository = home.folder.join("path/to/this/repository");
    fs::create_dir_all(&repository).expect("it is ours");
    let target = repository.join("target");
    std::os::unix::fs::symlink(tests::python::target(), target).expect("it is ours");
    let package = home.folder.join("my-site/mysite");
    fs::create_dir_all(&package).expect("it is ours");
    fs::write(package.join("__init__.py"), "").expect("it is ours");
    home.write(
        "my-site/mysite/wsgi.py",
        "def application(environ, start_response):\n    \
             start_response('200 OK', [('Content-Type', 'text/plain')])\n    \
             return [b'This is my site.\\n']\n",
    );
    let mut command = sh(&format!("{run} 127.0.0.1:0"));
    let server = Server::spawn("README.md", {
        command.env("HOME", &home.folder);
        command
    });
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    let said = ("200 OK", "This is my site.\n".to_string());
    assert_eq!(text(&Visitor::new(&server).get("/hello")), said);
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

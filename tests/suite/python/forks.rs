//! Python in forked processes.

use super::{FORKING, KEEPING, LOOP, ONE, STAYING};
use serde_json::{json, Value};
use std::fs;
use std::process::Command;
use tests::answer::Answer;
use tests::client::get;
use tests::python::{can_check, Site, Visitor};
use tests::server::run_to_end;
use tests::{left_out, wait_for};

#[test]
fn a_forked_child_is_a_whole_interpreter() {
    if !can_check("forked children") {
        return;
    }
    for application in ["probes:interpreter", "probes:with_background_thread()"] {
        let site = Site::new();
        let server = site.serve(FORKING, &[application]);
        let answers: Vec<Value> = (0..20)
            .map(|_| Visitor::new(&server).get("/").json())
            .collect();
        for answer in &answers {
            assert_eq!(answer["threads"], json!(["MainThread"]), "{application}");
            assert_eq!(answer["main"], true);
            assert_eq!(answer["thread"], json!(["ran"]));
            assert_eq!(answer["subprocess"], "1\n");
            assert_eq!(answer["requests"], 0);
            let hooks = answer["hooks"].as_array().expect("a list");
            let last = &hooks[hooks.len() - 2..];
            assert_eq!(last, [json!("before"), json!("child")], "{application}");
        }
        let different = |key: &str| {
            let mut values: Vec<String> = answers
                .iter()
                .map(|answer| answer[key].to_string())
                .collect();
            values.sort();
            values.dedup();
            values.len()
        };
        assert_eq!(different("pid"), 20);
        assert_eq!(different("random"), 20, "children draw the same numbers");
        let hooks = answers[19]["hooks"].as_array().expect("a list");
        let parents = hooks
            .iter()
            .filter(|hook| **hook == json!("parent"))
            .count();
        assert_eq!(parents, 19, "{hooks:?}");
    }
}

/// The handler that reaps the server's children is not for the children of an
/// application: Python takes one that has vanished for one that went well.
#[test]
fn an_application_has_its_children_to_itself() {
    if !can_check("a child of an application's") {
        return;
    }
    for (program, arguments) in [
        (ONE, &["probes:child_status"][..]),
        (FORKING, &["probes:child_status"]),
        (FORKING, &["probes:child_status", "--warm", "/"]),
        (STAYING, &["probes:child_status"]),
        (LOOP, &["probes:child_status"]),
        (KEEPING, &["probes:child_status"]),
    ] {
        let site = Site::new();
        let server = site.serve(program, arguments);
        for _ in 0..3 {
            let status = Visitor::new(&server).get("/").text();
            assert_eq!(status, "3", "{program}: {}", server.errors());
        }
    }
}

#[test]
fn children_of_a_warm_parent_are_warm() {
    if !can_check("an application that is warm") {
        return;
    }
    let site = Site::new();
    let server = site.serve(FORKING, &["probes:interpreter", "--warm", "/first?x=%20y"]);
    assert_eq!(
        server.errors(),
        "warmed up with GET /first?x=%20y: 200 OK\n"
    );
    for _ in 0..3 {
        let answer = Visitor::new(&server).get("/").json();
        assert_eq!(answer["requests"], 1);
        assert_eq!(answer["threads"], json!(["MainThread"]));
    }
    // A path that is not there warms too, and an application that fails does not.
    let server = site.serve(FORKING, &["flaskapp:app", "--warm", "/nosuch"]);
    assert_eq!(
        server.errors(),
        "warmed up with GET /nosuch: 404 NOT FOUND\n"
    );
    for (path, why) in [
        ("/", "the application raised ValueError: no such fruit\n"),
        (
            "no path",
            "400 Bad Request: the first line is not of three words\n",
        ),
    ] {
        let mut command = site.command(FORKING, &["probes:raises", "--warm", path]);
        let (code, _, errors) = run_to_end(&mut command);
        assert_eq!(code, Some(1));
        assert!(
            errors.ends_with(&format!("warm up with GET {path}: {why}")),
            "{errors}"
        );
    }
}

/// What is read is copied: Python counts. And nobody inherits a database.
#[test]
fn what_is_read_is_copied_and_no_database_is_inherited() {
    let check = "memory and descriptors that children share";
    if !can_check(check) {
        return;
    }
    if !std::path::Path::new("/proc/self/smaps_rollup").exists() {
        return left_out(check, "/proc");
    }
    let site = Site::new();
    let server = site.serve(FORKING, &["readapp:app"]);
    let said = Visitor::new(&server).get("/").text();
    let numbers = said.split_whitespace();
    let numbers: Vec<u64> = numbers.filter_map(|word| word.parse().ok()).collect();
    let [before, after] = numbers[..] else {
        panic!("{said}")
    };
    assert!(before < 4_000 && after > before + 20_000, "{said}");

    for arguments in [
        &["djangoapp:app"][..],
        &["djangoapp:app", "--warm", "/visits"],
    ] {
        let server = site.serve(FORKING, arguments);
        let descriptors = fs::read_dir(format!("/proc/{}/fd", server.pid()));
        for descriptor in descriptors.expect("it runs").flatten() {
            let file = fs::read_link(descriptor.path()).unwrap_or_default();
            let file = file.display().to_string();
            assert!(!file.contains("sqlite"), "{arguments:?}: {file}");
        }
    }
}

/// Nobody is lost, and nothing is left of the children.
#[test]
fn a_hundred_and_twenty_eight_clients_at_once() {
    if !can_check("many clients") {
        return;
    }
    for arguments in [
        &["flaskapp:app"][..],
        &["djangoapp:app", "--warm", "/hello"],
    ] {
        let site = Site::new();
        let server = site.serve(FORKING, arguments);
        let mut clients: Vec<_> = (0..128).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send(get("/hello").replace("Host: localhost", "Host: 127.0.0.1"));
        }
        for (number, client) in clients.iter_mut().enumerate() {
            let answer = Answer::read(client);
            assert_eq!(
                answer.status,
                "200 OK",
                "client {number}: {}",
                server.errors()
            );
            assert!(answer.text().starts_with("Hello world from "), "{answer:?}");
        }
        wait_for("the children to be gone", || {
            let children = children(server.pid());
            (children.is_empty()).then_some(())
        });
        assert_eq!(server.errors_when_idle().matches("Traceback").count(), 0);
    }
}

/// The processes, zombies too, whose parent this is.
fn children(pid: u32) -> Vec<String> {
    let mut ps = Command::new("ps");
    ps.args(["-A", "-o", "ppid=,pid=,stat="]);
    let output = ps.output().expect("every Unix has ps");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let ours = text
        .lines()
        .filter(|line| line.split_whitespace().next() == Some(&pid.to_string()));
    ours.map(str::to_string).collect()
}

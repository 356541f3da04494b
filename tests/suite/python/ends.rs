//! How a process ends that has Python inside: what was promised to the application.

use super::{FORKING, KEEPING, LOOP, ONE, STAYING};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use tests::answer::Answer;
use tests::client::get;
use tests::python::{can_check, Site, Visitor};
use tests::server::{run_to_end, Server};
use tests::wait_for;

const HOOK: &str = "a hook of the import, in its own process: True\n";

fn signal(server: &Server, signal: Signal) {
    kill(Pid::from_raw(server.pid() as i32), signal).expect("it is ours");
}

/// Waits for the end of a server, which this signal must be the reason of.
fn ends_by(server: &mut Server, signal: Signal) {
    let status = wait_for("the server's end", || server.ended());
    assert_eq!(status.signal(), Some(signal as i32), "{}", server.errors());
}

fn wait_for_notes(site: &Site, notes: &str) {
    wait_for(&format!("the notes {notes:?}"), || {
        (site.notes() == notes).then_some(())
    });
}

#[test]
fn exit_hooks_run_once_and_buffers_are_written() {
    if !can_check("atexit") {
        return;
    }
    for program in [ONE, FORKING, STAYING, LOOP, KEEPING] {
        for told in [Signal::SIGTERM, Signal::SIGINT] {
            let site = Site::new();
            let mut server = site.serve(program, &["ends:app"]);
            for _ in 0..3 {
                assert_eq!(Visitor::new(&server).get("/?log").text(), "ok\n");
            }
            assert_eq!(site.notes(), "", "{program}");
            server.wait_until_idle(); // a worker that has only begun would be told of
            signal(&server, told);
            ends_by(&mut server, told);
            assert_eq!(site.notes(), HOOK, "{program}");
            assert_eq!(server.errors(), "", "{program}");
            // In a child it may be the copy of what the parent will write.
            let lines = if [ONE, LOOP, KEEPING].contains(&program) {
                3
            } else {
                0
            };
            assert_eq!(site.read("log"), "in a buffer\n".repeat(lines), "{program}");
        }
    }
}

/// What is registered in a request is run where that process ends.
#[test]
fn an_exit_hook_of_a_request() {
    if !can_check("atexit in a request") {
        return;
    }
    let site = Site::new();
    let mut server = site.serve(FORKING, &["ends:app"]);
    for number in 1..=2 {
        Visitor::new(&server).get("/?hook");
        wait_for_notes(&site, &"a hook of the request\n".repeat(number));
    }
    signal(&server, Signal::SIGTERM);
    ends_by(&mut server, Signal::SIGTERM);
    let twice = "a hook of the request\n".repeat(2);
    assert_eq!(site.notes(), twice + HOOK);

    let site = Site::new();
    let mut server = site.serve(ONE, &["ends:app"]);
    Visitor::new(&server).get("/?hook");
    signal(&server, Signal::SIGTERM);
    ends_by(&mut server, Signal::SIGTERM);
    assert_eq!(site.notes(), format!("a hook of the request\n{HOOK}"));
}

#[test]
fn threads_that_are_no_daemons_are_waited_for() {
    if !can_check("threads at the end") {
        return;
    }
    for how in ["thread", "pool", "both"] {
        let hook = if how == "both" {
            "a hook of the request\n"
        } else {
            ""
        };
        let site = Site::new();
        let mut server = site.serve(ONE, &["ends:app"]);
        assert_eq!(
            Visitor::new(&server).get(&format!("/?{how}")).text(),
            "ok\n"
        );
        signal(&server, Signal::SIGTERM);
        site.write("go", "");
        ends_by(&mut server, Signal::SIGTERM);
        let notes = format!("a thread has ended\n{hook}{HOOK}");
        assert_eq!(site.notes(), notes, "{how}");

        // A child ends when its own have.
        let site = Site::new();
        let server = site.serve(FORKING, &["ends:app"]);
        assert_eq!(
            Visitor::new(&server).get(&format!("/?{how}")).text(),
            "ok\n"
        );
        assert_eq!(server.children().len(), 1);
        site.write("go", "");
        wait_for_notes(&site, &format!("a thread has ended\n{hook}"));
        server.wait_for_children(0);
    }
}

#[test]
fn a_thread_without_an_end_is_not_waited_for_for_ever() {
    if !can_check("a thread that does not end") {
        return;
    }
    for program in [ONE, FORKING, STAYING, LOOP, KEEPING] {
        let site = Site::new();
        let mut server = site.serve(program, &["ends:idles()"]);
        server.wait_until_idle(); // as above
        signal(&server, Signal::SIGTERM);
        ends_by(&mut server, Signal::SIGTERM);
        assert_eq!(site.notes(), HOOK, "{program}");
        let line = "a thread of the application does not end, and is not waited for\n";
        assert_eq!(server.errors(), line, "{program}");
    }
}

#[test]
fn the_second_signal_ends_it_at_once() {
    if !can_check("two signals") {
        return;
    }
    for program in [ONE, FORKING, STAYING, LOOP, KEEPING] {
        let site = Site::new();
        let mut server = site.serve(program, &["ends:waits_in_its_hook()"]);
        signal(&server, Signal::SIGINT);
        wait_for_notes(&site, "a hook waits\n");
        // The first would never end it: its hook waits without an end.
        signal(&server, Signal::SIGTERM);
        ends_by(&mut server, Signal::SIGTERM);
        assert_eq!(site.notes(), "a hook waits\n", "{program}");
    }
}

#[test]
fn a_request_in_work_is_answered_first() {
    if !can_check("a signal in a request") {
        return;
    }
    for program in [ONE, FORKING, STAYING] {
        let site = Site::new();
        let mut server = site.serve(program, &["ends:app"]);
        let mut client = server.connect();
        client.send(get("/?slow"));
        client.read_until("first ");
        signal(&server, Signal::SIGTERM);
        site.write("go", "");
        let (rest, _) = client.read_to_end();
        assert_eq!(String::from_utf8_lossy(&rest), "second", "{program}");
        ends_by(&mut server, Signal::SIGTERM);
        assert_eq!(site.notes(), HOOK, "{program}");
    }
}

/// No child of an application has a handler of ours.
#[test]
fn children_of_an_application_take_the_signal_as_ever() {
    if !can_check("multiprocessing's terminate()") {
        return;
    }
    for program in [ONE, FORKING, STAYING, LOOP, KEEPING] {
        let site = Site::new();
        let server = site.serve(program, &["ends:terminates"]);
        assert_eq!(Visitor::new(&server).get("/").text(), "-15", "{program}");
    }
}

#[test]
fn a_server_that_cannot_serve_ends_so_too() {
    if !can_check("an address that is taken") {
        return;
    }
    let busy = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = busy.local_addr().expect("it has one").to_string();
    for program in [ONE, FORKING, STAYING, LOOP, KEEPING] {
        let site = Site::new();
        let (code, _, errors) = run_to_end(&mut site.command(program, &["ends:app", &address]));
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.starts_with("bind "), "{errors}");
        assert_eq!(site.notes(), HOOK, "{program}");
    }
}

#[test]
fn an_exit_hook_that_fails_is_told_and_no_reason_to_stay() {
    if !can_check("an exit hook that fails") {
        return;
    }
    for program in [ONE, FORKING, STAYING, LOOP, KEEPING] {
        let site = Site::new();
        let mut server = site.serve(program, &["ends:fails()"]);
        signal(&server, Signal::SIGTERM);
        ends_by(&mut server, Signal::SIGTERM);
        assert_eq!(site.notes(), HOOK, "{program}");
        let errors = server.errors();
        assert!(errors.ends_with("ValueError: no such fruit\n"), "{errors}");
    }
}

/// A server in the background of a script: Ctrl-C is not for it.
#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    if !can_check("SIGINT in the background") {
        return;
    }
    let site = Site::new();
    let mut command = site.command(ONE, &["ends:app", "127.0.0.1:0"]);
    // SAFETY: between fork and exec it calls signal alone, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            nix::sys::signal::signal(Signal::SIGINT, nix::sys::signal::SigHandler::SigIgn)?;
            Ok(())
        });
    }
    let mut server = Server::spawn(ONE, command).unwrap_or_else(|error| panic!("{error}"));
    signal(&server, Signal::SIGINT);
    assert_eq!(Visitor::new(&server).get("/").text(), "ok\n");
    signal(&server, Signal::SIGTERM);
    ends_by(&mut server, Signal::SIGTERM);
    assert_eq!(site.notes(), HOOK);
}

/// What a thread of the application writes meanwhile is no reason to hang.
#[test]
fn no_fork_inherits_the_lock_of_an_output() {
    if !can_check("a thread that writes while the server forks") {
        return;
    }
    let site = Site::new();
    let server = site.serve(FORKING, &["ends:writes_for_ever()", "--warm", "/"]);
    for number in 0..60 {
        let mut client = server.connect();
        client.send(get("/"));
        let (bytes, end) = client.read_to_end();
        assert_eq!(
            Answer::parse(&bytes, end).map(|answer| answer.text()),
            Ok("ok\n".into()),
            "{number}"
        );
    }
}

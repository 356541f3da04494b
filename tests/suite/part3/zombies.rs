//! Children that have ended, and who reaps them.

use super::{ANSWER, REAPERS};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tests::client::{get, End};
use tests::experiments::{child_that_ends_during_accept, silent_client, END};
use tests::processes;
use tests::server::{wait_for_state, Server};
use tests::wait_for;

#[test]
fn the_children_of_3d_stay_and_those_of_a_reaper_do_not() {
    let programs = REAPERS.iter().map(|name| (*name, 0));
    for (program, zombies) in [("webserver3d", 10)].into_iter().chain(programs) {
        let server = Server::start(program);
        for _ in 0..10 {
            let answer = server.connect().send(get("/")).read_until(END);
            assert!(answer.ends_with(END), "{program}: {answer}");
        }
        assert_eq!(server.lasting_zombies(), zombies, "{program}");
        let children = server.children();
        assert_eq!(children.len(), zombies, "{program}: {children:?}");
    }
}

/// Nothing is left of a zombie to kill.
#[test]
fn a_zombie_cannot_be_killed() {
    let server = Server::start("webserver3d");
    server.connect().send(get("/")).read_until(END);
    server.wait_for_zombies(1);
    let zombie = server.children()[0].pid;
    let sent = kill(Pid::from_raw(zombie as i32), Signal::SIGKILL);
    assert_eq!(sent, Ok(()));
    assert_eq!(server.lasting_zombies(), 1);
    if processes::lists_descriptors() {
        assert_eq!(processes::descriptors(zombie).unwrap_or(0), 0);
    }
}

/// A stopped child keeps the server in its handler, so that it outlives the end of
/// another, whose zombie can be looked for.
#[test]
fn three_e_reaps() {
    let mut server = Server::start("webserver3e");
    let (mut stopped, child) = silent_client(&server);
    let (mut other, _) = silent_client(&server);
    server.wait_until_idle();
    let signal = |signal| kill(Pid::from_raw(child as i32), signal).unwrap();
    signal(Signal::SIGSTOP);
    wait_for_state(child, 'T');
    server.wait_until_idle();
    assert_eq!(other.ask(&get("/")).0, ANSWER);
    assert_eq!(server.wait_for_children(1)[0].state, 'T');
    assert!(server.is_running());
    signal(Signal::SIGCONT);
    assert_eq!(stopped.ask(&get("/")).0, ANSWER);
    assert_eq!(server.wait_for_end().0, Some(1));
}

#[test]
fn three_e_ends_by_eintr() {
    let mut server = Server::start("webserver3e");
    child_that_ends_during_accept(&server);
    let error = "accept: EINTR: Interrupted system call\n".to_string();
    assert_eq!(server.wait_for_end(), (Some(1), error));
}

/// What interrupts is that a handler runs, and not what it does.
#[test]
fn a_handler_that_does_nothing_interrupts_all_the_same() {
    for program in ["does_not_ask", "asks_when_told"] {
        let mut server = Server::start(program);
        child_that_ends_during_accept(&server);
        let error = "accept: EINTR: Interrupted system call\n".to_string();
        assert_eq!(server.wait_for_end(), (Some(1), error), "{program}");
    }
}

#[test]
fn the_flag_restarts_accept_unless_it_has_a_limit() {
    let server = Server::start("kernel_repeats");
    for _ in 0..3 {
        child_that_ends_during_accept(&server);
        assert_eq!(server.lasting_zombies(), 0);
    }
    let mut server = Server::start("with_a_limit");
    child_that_ends_during_accept(&server);
    let error = "accept: EINTR: Interrupted system call\n".to_string();
    assert_eq!(server.wait_for_end(), (Some(1), error));
}

/// The bits of signals that wait for a process, while it is stopped.
#[test]
fn a_signal_that_is_ignored_is_not_kept() {
    if !std::path::Path::new("/proc/self/status").exists() {
        return tests::left_out("pending signals", "/proc/PID/status");
    }
    let mask = |server: &Server, name: &str| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let row = status.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(row.unwrap().trim(), 16).unwrap()
    };
    for (program, pending) in [("webserver3d", 0), ("asks_when_told", 1 << 16)] {
        let server = Server::start(program);
        // Its handler comes after its first line.
        wait_for("the handler", || {
            (mask(&server, "SigCgt:") & pending == pending).then_some(())
        });
        server.signal(Signal::SIGSTOP);
        server.wait_for_state('T');
        server.signal(Signal::SIGCHLD);
        let row = mask(&server, "ShdPnd:");
        assert_eq!(row, pending, "{program}");
    }
}

/// To ask at once is to serve one at a time.
#[test]
fn a_parent_that_waits_for_each_child_serves_nobody_meanwhile() {
    let server = Server::start("asks_at_once");
    let (_silent, _) = silent_client(&server);
    let mut other = server.connect();
    let (answer, end) = other.send(get("/")).read_soon();
    assert_eq!((answer.len(), end), (0, End::Silent));
    drop(_silent);
    assert_eq!(other.read_until(END), ANSWER);
    assert_eq!(server.lasting_zombies(), 0);
}

#[test]
fn three_f_outlives_eintr() {
    let mut server = Server::start("webserver3f");
    for _ in 0..10 {
        child_that_ends_during_accept(&server);
        assert_eq!(server.lasting_zombies(), 0);
        assert_eq!(server.children(), []);
    }
    assert!(server.is_running());
}

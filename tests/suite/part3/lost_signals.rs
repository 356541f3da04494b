//! Signals that stand for others, and what a loop with `WNOHANG` makes of them.

use super::{one_crowd_at_a_time, ANSWER, ANY_APPLICATION, REAPERS};
use nix::sys::signal::Signal;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tests::client::{get, End};
use tests::experiments::{
    children_that_end_together, crowd, is_frozen_by_a_stopped_child, silent_clients, END,
};
use tests::processes;
use tests::programs::executable;
use tests::server::{run_to_end, Server, Setup};

#[test]
fn of_8_children_that_end_together_3f_keeps_7_and_a_reaper_none() {
    keeps_all_but_one(8);
}

#[test]
fn of_128_children_that_end_together_3f_keeps_127_and_a_reaper_none() {
    let _alone = one_crowd_at_a_time();
    keeps_all_but_one(128);
}

fn keeps_all_but_one(number: usize) {
    let reapers = [
        "webserver3g",
        "webserver3g_signal_hook",
        "no_zombies",
        ANY_APPLICATION,
    ];
    let programs = reapers.iter().map(|name| (*name, 0));
    for (program, zombies) in [("webserver3f", number - 1)].into_iter().chain(programs) {
        let server = Server::start(program);
        let left = match program {
            // There is nothing to wait for: its children leave no zombies.
            "no_zombies" => {
                let mut clients = silent_clients(&server, number);
                server.signal(Signal::SIGSTOP);
                server.wait_for_state('T');
                for client in &mut clients {
                    client.send(get("/")).read_until(END);
                }
                server.wait_for_children(0);
                server.signal(Signal::SIGCONT);
                server.lasting_zombies()
            }
            _ => children_that_end_together(&server, number),
        };
        assert_eq!(left, zombies, "{program}");
        // Another child, and another signal, change nothing.
        child_that_ends_beside(&server, zombies);
        assert_eq!(server.lasting_zombies(), zombies, "{program}");
        assert_eq!(server.children().len(), zombies, "{program}");
    }
}

fn child_that_ends_beside(server: &Server, zombies: usize) {
    let mut client = server.connect();
    server.wait_for_children(zombies + 1);
    let answer = client.send(get("/")).read_until(END);
    assert!(answer.ends_with(END), "{answer}");
}

/// What the exercise asks to be found.
#[test]
fn a_server_that_reaps_in_its_loop_keeps_zombies_until_the_next_client() {
    let server = Server::start("reap_in_loop");
    assert_eq!(children_that_end_together(&server, 8), 8);
    child_that_ends_beside(&server, 0);
    assert_eq!(server.lasting_zombies(), 1);
}

#[test]
fn nobody_of_300_clients_loses_the_answer() {
    let _alone = one_crowd_at_a_time();
    for program in REAPERS {
        let mut server = Server::start(program);
        // What a full pipe does not take at once, webserver3h leaves out of its log.
        let has_room = server.widen_output();
        assert_eq!(three_hundred(&server), ALL, "{program}");
        assert!(server.is_running(), "{program}");
        assert_eq!(server.lasting_zombies(), 0, "{program}");
        assert_eq!(server.children(), [], "{program}");
        let served = server.output().matches("child pid ").count();
        let counts = has_room || program != ANY_APPLICATION;
        assert!(served >= 300 || !counts, "{program}: {served} children");
    }
}

const ALL: &str = "300 x 1 connections: 300 answered, 0 refused, 0 reset, 0 timed out";

/// What became of 300 clients at once.
fn three_hundred(server: &Server) -> String {
    let address = server.address.to_string();
    let mut client = Command::new(executable("client3"));
    client.args(["--max-clients", "300", "--patience", "100"]);
    let (_, output, errors) = run_to_end(client.args(["--address", &address]));
    match output.is_empty() {
        true => errors,
        false => output.trim_end().to_string(),
    }
}

/// The signal comes as often as this machine can send it, at every place of the
/// server's loop, and in `fork`.
#[test]
fn a_storm_of_signals_does_not_hurt_3g() {
    let _alone = one_crowd_at_a_time();
    let mut server = Server::start("webserver3g");
    let calm = AtomicBool::new(false);
    let (outcome, signals) = thread::scope(|scope| {
        let storm = scope.spawn(|| {
            let mut signals = 0_u64;
            while !calm.load(Ordering::Relaxed) {
                server.signal(Signal::SIGCHLD);
                signals += 1;
            }
            signals
        });
        let outcome = three_hundred(&server);
        calm.store(true, Ordering::Relaxed);
        (outcome, storm.join())
    });
    assert_eq!(outcome, ALL);
    let signals = signals.expect("it sends signals, and nothing else");
    assert!(signals > 300, "{signals} are no storm");
    assert!(server.is_running(), "{}", server.errors());
    assert_eq!(server.lasting_zombies(), 0);
    assert_eq!(server.children(), []);
}

#[test]
fn a_stopped_child_freezes_a_handler_that_waits() {
    for (program, freezes) in [
        ("waiting_handler", true),
        ("webserver3f", true),
        ("webserver3g", false),
        ("webserver3g_signal_hook", false),
        ("no_zombies", false),
        (ANY_APPLICATION, false),
    ] {
        let server = Server::start(program);
        let frozen = is_frozen_by_a_stopped_child(&server);
        assert_eq!(frozen, freezes, "{program}");
    }
}

#[test]
fn a_silent_client_costs_3g_a_process_and_nothing_more() {
    let server = Server::start("webserver3g");
    let lists_descriptors = processes::lists_descriptors();
    let descriptors = || lists_descriptors.then(|| server.descriptors());
    let before = descriptors();
    let silent = silent_clients(&server, 10);
    server.wait_until_idle();
    assert_eq!(
        descriptors(),
        before,
        "the server holds something of theirs"
    );
    for _ in 0..10 {
        let answer = server.connect().ask(&get("/"));
        assert_eq!(answer, (ANSWER.to_string(), End::Closed));
    }
    assert_eq!(server.wait_until_idle().len(), 10);
    drop(silent);
    server.wait_for_children(0);
    assert_eq!(descriptors(), before);
}

#[test]
fn a_crowd_of_silent_clients_ends_3g_with_a_clear_line() {
    let _alone = one_crowd_at_a_time();
    let setup = Setup::new("webserver3g").most_processes(20);
    let mut server = setup.start().unwrap_or_else(|error| panic!("{error}"));
    let _silent = crowd(&mut server, 500);
    let error = "fork: EAGAIN: Try again\n".to_string();
    assert_eq!(server.wait_for_end(), (Some(1), error));
}

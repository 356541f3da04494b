//! How the servers of Part 4 end.

use super::{held, is_alive, send, workers, ECHO, ECHOED, REST};
use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt;
use tests::client::{Client, End};
use tests::server::Server;
use tests::wait_for;

/// Told alone, as `kill` does it, and with all its workers, as Ctrl-C does it.
#[test]
fn int_and_term_let_the_workers_finish_their_answers() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        for to_all in [false, true] {
            let mut server = Server::start(&format!("{ECHO} --workers 3"));
            let all = workers(&server, 3);
            let (mut client, busy) = held(&server);
            server.wait_until_idle(); // a worker without handlers of its own would be told of
            match to_all {
                true => server.signal_group(signal),
                false => server.signal(signal),
            }
            wait_for("the end of the idle workers", || {
                let alive = all.iter().filter(|pid| is_alive(**pid));
                (alive.collect::<Vec<_>>() == [&busy]).then_some(())
            });
            server.wait_until_idle();
            assert!(server.is_running());
            let (answer, end) = client.send(REST).read_to_end();
            assert!(answer.ends_with(ECHOED));
            assert_eq!(end, End::Closed);
            let status = wait_for("its end", || server.ended());
            assert_eq!(status.signal(), Some(signal as i32));
            assert!(!all.into_iter().any(is_alive));
            assert_eq!(server.errors(), "");
        }
    }
}

/// Whoever is to end has done so before the master has looked at anything: that is no
/// reason to complain, nor to fork.
#[test]
fn workers_that_are_faster_than_their_master_have_not_failed() {
    let mut server = Server::start("webserver4a wsgiapp:app --workers 2");
    let all = workers(&server, 2);
    server.wait_until_idle(); // each has handlers of its own
    server.signal(Signal::SIGSTOP);
    server.wait_for_state('T');
    server.signal_group(Signal::SIGINT);
    server.wait_for_zombies(2);
    server.signal(Signal::SIGCONT);
    let status = wait_for("its end", || server.ended());
    assert_eq!(status.signal(), Some(Signal::SIGINT as i32));
    assert_eq!(server.errors(), "");
    let forked = server.output().matches("worker pid ").count();
    assert_eq!(forked, all.len(), "{}", server.output());
}

/// While they are being forked, and before they have handlers of their own.
#[test]
fn a_signal_to_workers_that_have_only_begun_is_not_lost() {
    for program in ["passes_it_on", "answers_first", "webserver4a"] {
        for _ in 0..4 {
            let mut server = Server::start(&format!("{program} wsgiapp:app --workers 8"));
            server.signal(Signal::SIGTERM);
            wait_for("its end", || server.ended());
            assert!(!server.errors().contains("SIGKILL"), "{}", server.errors());
        }
    }
}

#[test]
fn quit_ends_4a_and_its_workers_at_once() {
    let mut server = Server::start(&format!("{ECHO} --graceful-timeout 1h"));
    let all = workers(&server, 2);
    let (mut client, _) = held(&server);
    server.signal(Signal::SIGQUIT);
    let status = wait_for("its end", || server.ended());
    assert_eq!(status.code(), Some(128 + Signal::SIGQUIT as i32));
    assert!(!status.core_dumped());
    assert_eq!(client.read_to_end().0, b"");
    assert!(!all.into_iter().any(is_alive));
}

/// A worker that has not answered by then is killed, and its client loses.
#[test]
fn who_has_not_finished_when_the_time_is_over_is_killed() {
    let mut server = Server::start(&format!("{ECHO} --workers 2 --graceful-timeout 300ms"));
    let all = workers(&server, 2);
    let (mut client, busy) = held(&server);
    server.wait_until_idle();
    let begun = std::time::Instant::now();
    server.signal(Signal::SIGTERM);
    let status = wait_for("its end", || server.ended());
    assert!(begun.elapsed() >= std::time::Duration::from_millis(300));
    assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
    assert_eq!(client.read_to_end().0, b"");
    let told = format!("worker pid {busy}: signal: 9 (SIGKILL)\n");
    assert_eq!(server.errors(), told);
    assert!(!all.into_iter().any(is_alive));
}

/// Of what would be an hour.
#[test]
fn the_second_signal_is_the_last_that_4a_waits_for() {
    for second in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT] {
        let mut server = Server::start(&format!("{ECHO} --graceful-timeout 1h"));
        let (mut client, _) = held(&server);
        server.signal(Signal::SIGTERM);
        workers(&server, 1);
        server.wait_until_idle();
        assert!(server.is_running());
        server.signal(second);
        let status = wait_for("its end", || server.ended());
        assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
        assert_eq!(client.read_to_end().0, b"");
    }
}

/// What gunicorn's users do to one worker: it finishes, and another takes its place.
#[test]
fn a_worker_that_is_told_to_stop_is_replaced_when_it_has_finished() {
    let server = Server::start(&format!("{ECHO} --workers 1"));
    let (mut client, busy) = held(&server);
    send(busy, Signal::SIGTERM);
    server.wait_until_idle();
    assert_eq!(workers(&server, 1), [busy]);
    let (answer, end) = client.send(REST).read_to_end();
    assert!(answer.ends_with(ECHOED));
    assert_eq!(end, End::Closed);
    wait_for("another", || (workers(&server, 1) != [busy]).then_some(()));
    super::assert_serves(&server);
}

/// Nobody listens when the last has ended.
#[test]
fn nothing_is_left_of_4a() {
    let mut server = Server::start("webserver4a wsgiapp:app --workers 8");
    workers(&server, 8);
    server.signal(Signal::SIGTERM);
    wait_for("its end", || server.ended());
    assert!(tests::processes::group(server.pid())
        .iter()
        .all(|process| process.pid == server.pid()));
    assert!(
        Client::try_connect(server.address).is_err(),
        "somebody listens"
    );
}

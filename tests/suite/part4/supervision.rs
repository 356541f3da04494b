//! The master: who is replaced, and when.

use super::{assert_serves, held, send, workers, ECHO, ECHOED, REST};
use crate::changed;
use nix::sys::signal::Signal;
use tests::client::{Client, End};
use tests::server::{Server, Setup};
use tests::{left_out, wait_for};

#[test]
fn ttin_and_ttou_make_one_more_and_one_less() {
    let server = Server::start("webserver4a wsgiapp:app --workers 2");
    let two = workers(&server, 2);
    server.signal(Signal::SIGTTIN);
    let three = workers(&server, 3);
    assert!(
        two.iter().all(|pid| three.contains(pid)),
        "{two:?}, {three:?}"
    );
    server.signal(Signal::SIGTTIN);
    let four = workers(&server, 4);
    for number in (1..4).rev() {
        server.signal(Signal::SIGTTOU);
        workers(&server, number);
    }
    // The oldest have gone, and one is the fewest.
    let last = workers(&server, 1);
    assert!(
        four.contains(&last[0]) && !three.contains(&last[0]),
        "{four:?}, {last:?}"
    );
    server.signal(Signal::SIGTTOU);
    server.wait_until_idle();
    assert_eq!(workers(&server, 1), last);
    assert_eq!(server.errors(), "");
    assert_serves(&server);
}

/// One less, and it is the one that has a client: that client is answered first.
#[test]
fn a_worker_too_many_finishes_its_answer() {
    let server = Server::start(&format!("{ECHO} --workers 1"));
    let (mut client, oldest) = held(&server);
    server.signal(Signal::SIGTTIN);
    workers(&server, 2);
    server.signal(Signal::SIGTTOU);
    server.wait_until_idle();
    assert!(workers(&server, 2).contains(&oldest));
    let (answer, end) = client.send(REST).read_to_end();
    assert!(answer.ends_with(ECHOED));
    assert_eq!(end, End::Closed);
    assert!(!workers(&server, 1).contains(&oldest));
    assert_eq!(server.errors_when_idle(), "");
}

/// Between the wait that the signal ends and the next one, as strace sees it. (It also
/// asks `poll` whether its log takes a line.)
#[test]
fn a_killed_worker_is_replaced_within_one_return_of_the_wait() {
    if !tests::has_tool("strace") {
        return left_out("when a worker is replaced", "strace");
    }
    let setup = Setup::new("webserver4a wsgiapp:app --workers 2");
    let calls = "trace=poll,clone,clone3,fork,wait4";
    let setup = setup.under(&["strace", "-qq", "-e", calls, "-e", "signal=none"]);
    let server = setup.start().unwrap_or_else(|error| panic!("{error}"));
    let master = wait_for("the server under strace", || server.children().pop()).pid;
    let children = || tests::processes::children(master);
    wait_for("two workers", || (children().len() == 2).then_some(()));
    server.wait_until_idle();
    for _ in 0..3 {
        let victim = children()[0].pid;
        let before = server.errors();
        send(victim, Signal::SIGKILL);
        wait_for("another", || {
            let now = children();
            let replaced = now.len() == 2 && now.iter().all(|child| child.pid != victim);
            replaced.then_some(())
        });
        server.wait_until_idle();
        let trace = server.errors();
        let trace = &trace[before.len()..];
        let calls = |name: &str| {
            trace
                .lines()
                .filter(|line| line.contains(name))
                .collect::<Vec<_>>()
        };
        assert_eq!(calls("clone").len() + calls("fork(").len(), 1, "{trace}");
        let reaped = trace.find(&format!(") = {victim}\n"));
        let forked = trace.find("clone").or_else(|| trace.find("fork("));
        let (Some(reaped), Some(forked)) = (reaped, forked) else {
            panic!("{trace}");
        };
        assert!(reaped < forked, "{trace}");
        // The wait that comes after it, and none before.
        assert_eq!(calls("POLLIN").len(), 1, "{trace}");
        assert!(!trace[..forked].contains("POLLIN"), "{trace}");
    }
}

/// A mask is inherited through `exec`.
#[test]
fn a_master_that_is_started_with_its_signals_blocked_hears_them() {
    use nix::sys::signal::SigSet;
    use std::os::unix::process::CommandExt;
    let mut command = std::process::Command::new(tests::programs::executable("webserver4a"));
    command.args(["wsgiapp:app", "127.0.0.1:0", "--workers", "1"]);
    // SAFETY: between fork and exec the closure calls sigprocmask alone.
    unsafe {
        command.pre_exec(|| Ok(SigSet::all().thread_block()?));
    }
    let mut server =
        Server::spawn("webserver4a", command).unwrap_or_else(|error| panic!("{error}"));
    let only = workers(&server, 1);
    send(only[0], Signal::SIGKILL);
    wait_for("another", || (workers(&server, 1) != only).then_some(()));
    server.signal(Signal::SIGTTIN);
    workers(&server, 2);
    server.signal(Signal::SIGTERM);
    wait_for("its end", || server.ended());
}

/// They end as soon as they are forked. How often it tries, and when, is in its words.
#[test]
fn workers_that_end_at_once_are_tried_again_after_growing_pauses() {
    let dying = changed("dying");
    let command = format!("{} wsgiapp:app --workers 3", dying.display());
    let mut server = Server::start(&command);
    let pauses = |server: &Server| -> Vec<String> {
        let errors = server.errors();
        let lines = errors.lines().filter_map(|line| {
            line.strip_prefix("a worker has ended at once; the next one starts in ")
        });
        lines.map(str::to_string).collect()
    };
    let wanted = ["100ms", "200ms", "400ms", "800ms", "800ms"];
    let found = wait_for("five pauses", || {
        // Whoever comes meanwhile waits in the queue.
        assert!(Client::try_connect(server.address).is_ok());
        let found = pauses(&server);
        (found.len() >= wanted.len()).then_some(found)
    });
    assert_eq!(found[..5], wanted, "{found:?}");
    let started = server.output().matches("worker pid ").count();
    let rounds = pauses(&server).len();
    assert!(
        started <= 3 * (rounds + 1),
        "{started} workers in {rounds} rounds"
    );
    let ended = server.errors().matches(": exit status: 7\n").count();
    assert!(ended >= 3 * 4, "{}", server.errors());
    // It hears a signal in a pause, too.
    server.signal(Signal::SIGTERM);
    wait_for("its end", || server.ended());
}

/// The kernel refuses the second fork, again and again.
#[test]
fn a_worker_that_cannot_start_is_told_and_costs_the_others_nothing() {
    let setup = Setup::new("webserver4a wsgiapp:app --workers 2").most_processes(2);
    let mut server = setup.start().unwrap_or_else(|error| panic!("{error}"));
    let line = |pause: &str| format!("fork: EAGAIN: Try again; the next one starts in {pause}\n");
    let told = line("100ms") + &line("200ms") + &line("400ms");
    wait_for("three tries", || {
        assert_serves(&server);
        server.errors().contains(&told).then_some(())
    });
    let only = workers(&server, 1);
    // Where one is enough there is nothing to wait for but signals.
    server.signal(Signal::SIGTTOU);
    #[cfg(target_os = "linux")]
    super::wait_for_sleep_without_end(server.pid(), &super::POLL, 3);
    server.signal(Signal::SIGTERM);
    wait_for("its end", || server.ended());
    assert!(!super::is_alive(only[0]));
}

/// A kill leaves it no time to tell its workers anything.
#[test]
fn workers_notice_that_their_master_has_gone() {
    let mut server = Server::start(&format!("{ECHO} --workers 3"));
    let all = workers(&server, 3);
    let (mut client, busy) = held(&server);
    server.signal(Signal::SIGKILL);
    wait_for("the end of the master", || server.ended());
    wait_for("the end of the idle workers", || {
        let alive = all.iter().filter(|pid| super::is_alive(**pid));
        (alive.collect::<Vec<_>>() == [&busy]).then_some(())
    });
    let (answer, end) = client.send(REST).read_to_end();
    assert!(answer.ends_with(ECHOED));
    assert_eq!(end, End::Closed);
    wait_for("the end of the last", || {
        (!super::is_alive(busy)).then_some(())
    });
    for pid in all {
        let line = format!("worker pid {pid}: the master has gone\n");
        assert!(server.errors().contains(&line), "{}", server.errors());
    }
    assert!(
        Client::try_connect(server.address).is_err(),
        "somebody listens"
    );
}

/// The orphans of all others become its children there.
#[cfg(target_os = "linux")]
#[test]
fn as_process_1_it_hears_every_signal_and_reaps_orphans() {
    let mut tool = vec!["unshare", "--pid", "--fork", "--kill-child"];
    if !nix::unistd::geteuid().is_root() {
        tool.extend(["--user", "--map-root-user"]);
    }
    let mut probe = std::process::Command::new(tool[0]);
    let probe = probe.args(&tool[1..]).arg("true").status();
    if !probe.is_ok_and(|status| status.success()) || !tests::has_tool("nsenter") {
        return left_out("a server that is process 1", "namespaces of processes");
    }
    for (program, signal) in [
        ("webserver4a", Signal::SIGINT),
        ("webserver4a", Signal::SIGTERM),
        ("webserver4a", Signal::SIGQUIT),
        ("webserver4b", Signal::SIGTERM),
    ] {
        let setup = Setup::new(&format!("{program} wsgiapp:app --workers 2")).under(&tool);
        let mut outside = setup.start().unwrap_or_else(|error| panic!("{error}"));
        assert!(outside.output().contains("\nprocess 1\n"));
        let first = outside.wait_for_children(1)[0].pid;
        let children = || tests::processes::children(first);
        wait_for("two workers", || (children().len() == 2).then_some(()));
        let mut orphan = std::process::Command::new("nsenter");
        orphan.args(["--target", &first.to_string(), "--pid"]);
        if !nix::unistd::geteuid().is_root() {
            orphan.args(["--user", "--preserve-credentials"]);
        }
        orphan.args(["sh", "-c", "(sleep 0.1 &)"]);
        let (code, _, errors) = tests::server::run_to_end(&mut orphan);
        assert_eq!(code, Some(0), "{errors}");
        wait_for("two children", || (children().len() == 2).then_some(()));
        assert_serves(&outside);
        send(first, signal);
        let status = wait_for("its end", || outside.ended());
        assert_eq!(status.code(), Some(128 + signal as i32));
    }
}

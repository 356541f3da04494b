//! Workers that answer with threads.

use super::{assert_serves, held, is_alive, send, workers, ECHOED, REST};
use crate::part3::any_application::applications_answer_as_through_webserver2;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use tests::client::{get, Client, End};
use tests::programs::{self, course};
use tests::server::{run_to_end, Server};
use tests::wait_for;

/// An application that waits for the rest of a body.
const ECHO: &str = "webserver4b validator:echoapp:app";

/// A head of less than forty bytes, and one of more.
const SHORT: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const LONG: &str = "GET /long HTTP/1.1\r\nHost: 127.0.0.1:8888\r\n\r\n";

#[test]
fn applications_answer_through_4b_as_through_webserver2() {
    applications_answer_as_through_webserver2("webserver4b");
}

/// How many clients each worker has taken out of the kernel's queue, and how many wait there.
#[cfg(target_os = "linux")]
fn taken_and_waiting(server: &Server, pids: &[u32]) -> (Vec<usize>, usize) {
    let port = server.address.port();
    let taken = |pid: &u32| super::workers::connections_of(*pid, port).len();
    let sockets = super::workers::sockets_at(port);
    let listener = sockets.iter().find(|socket| socket.listens);
    let waiting = listener.expect("it listens").waiting;
    (pids.iter().map(taken).collect(), waiting)
}

/// And whoever comes then waits where any worker can take them: a worker accepts as many as
/// it has threads.
#[test]
fn as_many_silent_clients_as_threads_stop_4b_and_one_fewer_does_not() {
    let server = Server::start("webserver4b wsgiapp:app --workers 2 --threads 2");
    let _pids = workers(&server, 2);
    let mut silent: Vec<Client> = Vec::new();
    for _ in 0..3 {
        silent.push(server.connect());
        server.wait_until_idle();
    }
    for _ in 0..4 {
        assert_serves(&server);
    }
    silent.push(server.connect());
    server.wait_until_idle();
    let mut late: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    late.iter_mut().for_each(|client| _ = client.send(get("/")));
    server.wait_until_idle();
    #[cfg(target_os = "linux")]
    assert_eq!(taken_and_waiting(&server, &_pids), (vec![2, 2], 3));
    assert!(late.iter_mut().all(|client| client.read_now().is_empty()));
    drop(silent.pop());
    for mut client in late {
        let (answer, end) = client.read_to_end();
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
        assert_eq!(end, End::Closed);
    }
    assert_eq!(server.errors_when_idle(), "");
}

/// A worker that is stopped takes nobody, and the other no more than it has a thread for. So
/// who waits is served by the first that is free.
#[test]
fn nobody_waits_for_a_thread_of_one_worker_while_another_has_one() {
    for (program, served) in [("line_with_an_end", false), ("webserver4b", true)] {
        let server = Server::start(&format!("{program} wsgiapp:app --workers 2 --threads 1"));
        let stopped = workers(&server, 2)[0];
        send(stopped, Signal::SIGSTOP);
        tests::server::wait_for_state(stopped, 'T');
        let silent = server.connect();
        server.wait_until_idle();
        let mut second = server.connect();
        second.send(get("/"));
        server.wait_until_idle();
        assert!(second.read_now().is_empty(), "{program}");
        send(stopped, Signal::SIGCONT);
        if !served {
            assert_serves(&server); // by the other
            assert!(second.read_now().is_empty());
            drop(silent);
        }
        assert_eq!(second.read_to_end().1, End::Closed);
    }
}

/// The master has one thread, as `fork` copies one; and the workers have all of theirs
/// before the first client, and no other after many.
#[cfg(target_os = "linux")]
#[test]
fn threads_begin_after_the_fork_and_stay() {
    let server = Server::start("webserver4b wsgiapp:app --workers 2 --threads 3");
    let threads = || {
        let group = tests::processes::group(server.pid());
        let mut threads: Vec<_> = group.iter().filter_map(|process| process.threads).collect();
        threads.sort_unstable();
        threads
    };
    wait_for("the threads", || (threads() == [1, 4, 4]).then_some(()));
    let before = workers(&server, 2);
    for _ in 0..50 {
        assert_serves(&server);
    }
    server.wait_until_idle();
    assert_eq!((threads(), workers(&server, 2)), (vec![1, 4, 4], before));
    assert_eq!(server.errors(), "");
}

/// By the gateway, which catches it.
#[test]
fn a_panic_of_the_application_costs_one_answer_of_4b() {
    let server = Server::start("webserver4b validator:failapp:panic --workers 1 --threads 2");
    let before = workers(&server, 1);
    for _ in 0..5 {
        let (answer, end) = server.connect().ask(&get("/"));
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert_eq!(end, End::Closed);
    }
    let (answer, _) = server.connect().ask(&get("/?works"));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(workers(&server, 1), before);
}

/// The stages have a bug, and are webserver4b but for that.
#[test]
fn a_panic_of_the_server_costs_one_answer_and_no_thread() {
    let typed = |name: &str| course().program(name).expect("it is there").typed();
    let mended = typed("contains_a_panic").replace("&head[..40]", "head");
    assert_eq!(mended, typed("webserver4b"));
    let arguments = "wsgiapp:app --workers 1 --threads 2";

    // Two panics, and both threads are gone. Nobody is told.
    let mut server = Server::start(&format!("prints_forty_bytes {arguments}"));
    for _ in 0..2 {
        assert_eq!(server.connect().ask(SHORT).0, "");
    }
    let mut next = server.connect();
    next.send(LONG);
    server.wait_until_idle();
    assert!(server.is_running() && next.read_now().is_empty());

    let server = Server::start(&format!("contains_a_panic {arguments}"));
    let before = workers(&server, 1);
    for _ in 0..5 {
        assert_eq!(server.connect().ask(SHORT).0, "");
    }
    // There are still two: one for a client that says nothing, and one for the others.
    let _silent = server.connect();
    server.wait_until_idle();
    let (answer, _) = server.connect().ask(LONG);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(workers(&server, 1), before);
    let told = server
        .errors()
        .matches("request: the server panicked\n")
        .count();
    assert_eq!(told, 5);
}

/// All that it was answering, as they share its fate.
#[test]
fn a_killed_worker_costs_the_clients_of_its_threads() {
    let server = Server::start(&format!("{ECHO} --workers 2 --threads 2"));
    let mut clients: Vec<(Client, u32)> = (0..4).map(|_| held(&server)).collect();
    let victim = clients[0].1;
    let its = clients.iter().filter(|(_, pid)| *pid == victim).count();
    assert_eq!(its, 2);
    send(victim, Signal::SIGKILL);
    for (client, pid) in &mut clients {
        if *pid == victim {
            assert_eq!(client.read_to_end().0, b"");
        } else {
            let (answer, end) = client.send(REST).read_to_end();
            assert!(answer.ends_with(ECHOED));
            assert_eq!(end, End::Closed);
        }
    }
    assert_serves(&server);
}

/// Whose answers have begun get them, nobody else is accepted, and no process is left.
#[test]
fn term_lets_the_threads_finish_their_answers_and_leaves_no_process() {
    let mut server = Server::start(&format!("{ECHO} --workers 2 --threads 2"));
    let all = workers(&server, 2);
    let mut clients: Vec<(Client, u32)> = (0..3).map(|_| held(&server)).collect();
    server.signal(Signal::SIGTERM);
    server.wait_until_idle();
    assert!(server.is_running());
    let mut late = server.connect();
    late.send(get("/"));
    let busy = BTreeSet::from_iter(clients.iter().map(|(_, pid)| *pid));
    assert_eq!(busy.len(), 2);
    for (client, _) in &mut clients {
        let (answer, end) = client.send(REST).read_to_end();
        assert!(answer.ends_with(ECHOED));
        assert_eq!(end, End::Closed);
    }
    let status = wait_for("its end", || server.ended());
    assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
    assert_eq!(late.read_to_end().0, b"");
    assert!(!all.into_iter().any(is_alive));
    assert_eq!(server.errors(), "");
    assert!(
        Client::try_connect(server.address).is_err(),
        "somebody listens"
    );
}

/// The stage has a line that is longer than a moment.
#[test]
fn who_stands_in_the_line_when_it_is_closed_is_answered() {
    let arguments = "validator:echoapp:app --workers 1 --threads 1";
    let mut server = Server::start(&format!("line_with_an_end {arguments}"));
    let (mut first, _) = held(&server);
    let mut second = server.connect();
    second.send(get("/"));
    server.wait_until_idle();
    server.signal(Signal::SIGTERM);
    server.wait_until_idle();
    assert!(second.read_now().is_empty());
    assert!(first.send(REST).read_to_end().0.ends_with(ECHOED));
    let (answer, end) = second.read_to_end();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    assert_eq!(end, End::Closed);
    wait_for("its end", || server.ended());
    assert_eq!(server.errors(), "");
}

/// One thread of a worker has finished by then, and another has not.
#[test]
fn who_has_a_thread_when_the_time_is_over_loses_the_answer() {
    let arguments = "--workers 1 --threads 2 --graceful-timeout 4s";
    let mut server = Server::start(&format!("{ECHO} {arguments}"));
    let (mut quick, busy) = held(&server);
    let (mut slow, _) = held(&server);
    let begun = std::time::Instant::now();
    server.signal(Signal::SIGTERM);
    quick.send(REST);
    let status = wait_for("its end", || server.ended());
    assert!(begun.elapsed() >= std::time::Duration::from_secs(4));
    assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
    assert!(quick.read_to_end().0.ends_with(ECHOED));
    assert_eq!(slow.read_to_end().0, b"");
    let told = format!("worker pid {busy}: signal: 9 (SIGKILL)\n");
    assert_eq!(server.errors(), told);
    assert!(!is_alive(busy));
}

/// The workers notice while they have clients, and when they have none.
#[test]
fn workers_with_threads_notice_that_their_master_has_gone() {
    let mut server = Server::start(&format!("{ECHO} --workers 2 --threads 2"));
    let all = workers(&server, 2);
    let (mut client, busy) = held(&server);
    server.signal(Signal::SIGKILL);
    wait_for("the end of the master", || server.ended());
    wait_for("the end of the idle worker", || {
        let alive = all.iter().filter(|pid| is_alive(**pid));
        (alive.collect::<Vec<_>>() == [&busy]).then_some(())
    });
    let (answer, _) = client.send(REST).read_to_end();
    assert!(answer.ends_with(ECHOED));
    wait_for("the end of the last", || (!is_alive(busy)).then_some(()));
}

/// The threads are counted among the processes of a user, and a worker that cannot have
/// all of them is one that has failed.
#[cfg(target_os = "linux")]
#[test]
fn a_worker_that_cannot_begin_its_threads_is_tried_again() {
    let setup = tests::server::Setup::new("webserver4b wsgiapp:app --workers 1 --threads 3");
    let mut server = setup.most_processes(4).start().unwrap();
    wait_for("the second try", || {
        let errors = server.errors();
        let ends = ": Resource temporarily unavailable (os error 11)\n";
        let pause = "a worker has ended at once; the next one starts in 200ms\n";
        (errors.contains(ends) && errors.contains(pause)).then_some(())
    });
    server.signal(Signal::SIGTERM);
    wait_for("its end", || server.ended());
}

/// The library's lines are those of webserver4a, but for what stands in it for a worker.
#[test]
fn the_master_of_the_library_is_that_of_4a() {
    let before = course().program("webserver4a").expect("it is there");
    let before: BTreeSet<String> = before.lines.iter().map(|(_, line)| plain(line)).collect();
    let library = course().library("prefork").expect("it is there");
    let text = std::fs::read_to_string(book::root().join(&library.files[0].file)).unwrap();
    let regions = ["inherited", "signature", "call"];
    let mut region = None;
    let new: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("// ANCHOR: "))
        .filter(|line| {
            let line = line.trim();
            if let Some(name) = line.strip_prefix("// ANCHOR: ") {
                region = regions.iter().find(|region| **region == name);
            } else if line.starts_with("// ANCHOR_END: ") {
                region = None;
            } else {
                return region.is_none() && !before.contains(&plain(line));
            }
            false
        })
        .collect();
    assert_eq!(new, Vec::<&str>::new());

    // And nothing of its master is missing there but what its worker does.
    let there: BTreeSet<String> = text.lines().map(plain).collect();
    let program = course().program("webserver4a").expect("it is there");
    let master = program.lines.iter().map(|(_, line)| line.as_str());
    let master = master
        .skip_while(|line| !line.contains("TcpListener::bind("))
        .take_while(|line| !line.starts_with("/// A worker: answers"));
    let missing: Vec<&str> = master
        .filter(|line| !there.contains(&plain(line)))
        .map(str::trim)
        .collect();
    let wanted = [
        "work(&listener, &came, [&wakes, &orphaned], |connection| {",
        "handle_request(connection, address, &options.limits, application)",
    ];
    assert_eq!(missing, wanted);
}

fn plain(line: &str) -> String {
    let line = line.trim();
    let line = line.strip_prefix("pub ").unwrap_or(line);
    line.replace("options.workers", "number")
        .replace("options.", "")
}

#[test]
fn what_4b_cannot_serve_is_one_clear_line() {
    for (arguments, code, begins) in [
        (
            vec!["wsgiapp:app", "--threads", "0"],
            2,
            "invalid value '0' for '--threads <M>': ",
        ),
        (vec!["wsgiapp:app", ":1"], 1, "bind :1: no host"),
        (
            vec!["nosuch:app"],
            1,
            "there is no module `nosuch`; there are wsgiapp, ",
        ),
    ] {
        let mut command = std::process::Command::new(programs::executable("webserver4b"));
        let (ended, output, errors) = run_to_end(command.args(arguments));
        assert_eq!((ended, output.as_str()), (Some(code), ""), "{errors}");
        assert!(errors.starts_with(begins), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

/// The lock that another thread holds is copied, and the thread that would give it back is not.
#[cfg(target_os = "linux")]
#[test]
fn fork_copies_one_thread_and_every_lock() {
    let mut example = std::process::Command::new(programs::executable("one_thread_is_copied"));
    let (code, output, errors) = run_to_end(&mut example);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let wanted = "child: threads: 1, the lock is taken\n\
                  parent: threads: 2, the lock is taken\n\
                  parent: threads: 1, the lock is free\n";
    assert_eq!(output, wanted);
}

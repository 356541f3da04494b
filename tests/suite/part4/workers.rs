//! Workers that stay: what a client sees of them.

use super::{assert_serves, held, send, workers, ECHO, ECHOED, REST};
use crate::part3::any_application::applications_answer_as_through_webserver2;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use tests::client::{get, End};
use tests::server::{run_to_end, Server};

#[test]
fn applications_answer_through_4a_as_through_webserver2() {
    applications_answer_as_through_webserver2("webserver4a");
}

/// They are there before the first client, and the same after a hundred.
#[test]
fn workers_are_forked_before_the_clients_come_and_stay() {
    let server = Server::start("webserver4a wsgiapp:app --workers 3");
    let before = workers(&server, 3);
    for _ in 0..100 {
        assert_serves(&server);
    }
    assert_eq!(workers(&server, 3), before);
    assert_eq!(server.errors_when_idle(), "");
    let lines = server.output();
    let mut lines = lines.lines().skip(1);
    let process = format!("process {}", server.pid());
    assert_eq!(lines.next(), Some(process.as_str()));
    let told: Vec<&str> = lines.take(3).collect();
    let mut named: Vec<String> = before
        .iter()
        .map(|pid| format!("worker pid {pid}"))
        .collect();
    named.sort();
    assert_eq!(
        BTreeSet::from_iter(told),
        named.iter().map(String::as_str).collect()
    );
}

/// As many silent clients as workers, and nobody else is served: what is left to repay.
#[test]
fn as_many_silent_clients_as_workers_stop_4a_and_one_fewer_does_not() {
    let server = Server::start("webserver4a wsgiapp:app --workers 2");
    let first = server.connect();
    server.wait_until_idle();
    assert_serves(&server);
    let second = server.connect();
    server.wait_until_idle();
    let mut third = server.connect();
    third.send(get("/"));
    server.wait_until_idle();
    assert_eq!(third.read_now(), b"");
    drop((first, second));
    assert_eq!(third.read_to_end().1, End::Closed);
}

/// Each worker may be killed while it answers, and each is asked by chance.
#[cfg(target_os = "linux")]
#[test]
fn kill_9_loses_what_the_killed_were_holding_and_nothing_else() {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::Mutex;
    use tests::client::Client;
    use tests::wait_for;

    let server = Server::start("webserver4a axumapp:app --workers 4");
    workers(&server, 4);
    let address = server.address;
    let stop = AtomicBool::new(false);
    let (whole, lost) = (Mutex::new(BTreeSet::new()), Mutex::new(BTreeSet::new()));
    let (mut holding, mut victims) = (BTreeSet::new(), Vec::new());
    let mut chance = server.pid() as usize;
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (stop, whole, lost) = (&stop, &whole, &lost);
            scope.spawn(move || {
                // What is slow sleeps, and costs no processor time.
                let mut paths = ["/slow", "/"]
                    .iter()
                    .take(if number == 0 { 2 } else { 1 })
                    .cycle();
                while let (false, Some(path)) = (stop.load(Ordering::Relaxed), paths.next()) {
                    let mut client = Client::connect(address);
                    let port = client.address().port();
                    let (answer, _) = client.try_send(get(path)).read_to_end();
                    let answered = is_whole(&answer);
                    let set = if answered { whole } else { lost };
                    // A port may be used again; a request is known by its port and number.
                    set.lock().unwrap().insert(port);
                }
            });
        }
        for _ in 0..12 {
            let there = workers(&server, 4);
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let victim = there[(chance >> 33) % 4];
            send(victim, Signal::SIGSTOP);
            tests::server::wait_for_state(victim, 'T');
            holding.extend(connections_of(victim, address.port()));
            send(victim, Signal::SIGKILL);
            victims.push(victim);
            wait_for("the end of the victim", || {
                let gone = server.children().iter().all(|child| child.pid != victim);
                gone.then_some(())
            });
        }
        wait_for("some answers", || {
            (whole.lock().unwrap().len() > 20).then_some(())
        });
        stop.store(true, Ordering::Relaxed);
    });
    let (whole, lost) = (whole.into_inner().unwrap(), lost.into_inner().unwrap());
    assert!(
        lost.is_subset(&holding),
        "lost: {lost:?}, held: {holding:?}"
    );
    // Who was held has either had its answer already, or is lost.
    let unknown: Vec<_> = holding
        .iter()
        .filter(|port| !lost.contains(port) && !whole.contains(port))
        .collect();
    assert_eq!(unknown, Vec::<&u16>::new());
    assert!(!lost.is_empty() && holding.len() <= 12, "{holding:?}");
    tests::say(&format!(
        "12 killed, which held {}; lost {}, answered {}",
        holding.len(),
        lost.len(),
        whole.len()
    ));
    // The master has taken none for another.
    let errors = server.errors();
    let killed = errors.lines().filter_map(|line| {
        let pid = line.strip_prefix("worker pid ")?;
        pid.strip_suffix(": signal: 9 (SIGKILL)")?.parse().ok()
    });
    assert_eq!(killed.collect::<Vec<u32>>(), victims);
    workers(&server, 4);
    assert_serves(&server);
}

/// Whether an answer has all the bytes that it promises.
#[cfg(target_os = "linux")]
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    length.and_then(|length| length.parse().ok()) == Some(body.len())
}

/// The clients' ports of the connections to this port that a process has open.
#[cfg(target_os = "linux")]
pub(super) fn connections_of(pid: u32, port: u16) -> Vec<u16> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let sockets: BTreeSet<String> = files
        .filter_map(|file| {
            let target = std::fs::read_link(file.ok()?.path()).ok()?;
            let target = target.to_str()?.strip_prefix("socket:[")?;
            Some(target.trim_end_matches(']').to_string())
        })
        .collect();
    let ours = sockets_at(port).into_iter();
    let ours = ours.filter(|socket| sockets.contains(&socket.inode) && !socket.listens);
    ours.map(|socket| socket.peer).collect()
}

/// What `/proc/net/tcp` says of a socket.
#[cfg(target_os = "linux")]
pub(super) struct Socket {
    pub inode: String,
    pub peer: u16,
    pub listens: bool,
    /// What waits to be read or, where it listens, to be accepted.
    pub waiting: usize,
}

/// The sockets whose own port is this one. Thousands of others may be in the table, of
/// connections that are over, and their lines are not parsed.
#[cfg(target_os = "linux")]
pub(super) fn sockets_at(port: u16) -> Vec<Socket> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let end = format!(":{port:04X}");
    let number = |text: &str| usize::from_str_radix(text, 16).unwrap();
    let ours = table.split('\n').filter_map(|line| {
        let (_, line) = line.split_once(": ")?;
        let (local, rest) = line.split_once(' ')?;
        if !local.ends_with(&end) {
            return None;
        }
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Socket {
            inode: fields[7].to_string(),
            peer: number(fields[0].split_once(':')?.1) as u16,
            listens: fields[1] == "0A",
            waiting: number(fields[2].split_once(':')?.1),
        })
    });
    ours.collect()
}

/// A worker that is killed while it holds a client costs that client alone.
#[test]
fn a_killed_worker_costs_its_own_client() {
    let server = Server::start(&format!("{ECHO} --workers 2"));
    let (mut unlucky, first) = held(&server);
    let (mut lucky, second) = held(&server);
    assert_ne!(first, second);
    send(first, Signal::SIGKILL);
    let (answer, end) = unlucky.read_to_end();
    assert_eq!(answer, b"");
    assert_ne!(end, End::Silent);
    assert_serves(&server);
    let (answer, end) = lucky.send(REST).read_to_end();
    assert!(answer.ends_with(ECHOED));
    assert_eq!(end, End::Closed);
    assert!(workers(&server, 2).contains(&second));
}

/// What it remembers stays with the worker, and its own children are its own.
#[test]
fn an_application_of_4a_counts_in_each_worker() {
    let curious = crate::changed("curious_worker");
    let server = Server::start(&format!("{} curious --workers 1", curious.display()));
    for visits in 1..4 {
        let (answer, _) = server.connect().ask(&get("/"));
        let (_, found) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let wanted = format!(
            "visits: {visits}; multithread, multiprocess, run_once: false, true, false; \
             child: exit status: 0"
        );
        assert_eq!(found, wanted);
    }
    // SIGCHLD has told each worker of its own child, and none of them looks on and on.
    server.wait_until_idle();
}

/// By a panic, which the gateway catches: the worker stays.
#[test]
fn a_panic_of_the_application_costs_one_answer_and_no_worker() {
    let server = Server::start("webserver4a validator:failapp:panic --workers 2");
    let before = workers(&server, 2);
    for _ in 0..5 {
        let (answer, end) = server.connect().ask(&get("/"));
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert_eq!(end, End::Closed);
    }
    server.wait_until_idle();
    assert_eq!(workers(&server, 2), before);
}

#[test]
fn what_4a_cannot_serve_is_one_clear_line() {
    for (arguments, code, begins) in [
        (
            vec![],
            2,
            "the following required arguments were not provided: <APPLICATION>; usage: ",
        ),
        (
            vec!["wsgiapp:app", "--workers", "0"],
            2,
            "invalid value '0' for '--workers <N>': ",
        ),
        (
            vec!["wsgiapp:app", "--graceful-timeout", "long"],
            2,
            "invalid value 'long' for '--graceful-timeout ",
        ),
        (
            vec!["wsgiapp:app", ":1"],
            1,
            "bind :1: no host before the port",
        ),
        (
            vec!["nosuch:app"],
            1,
            "there is no module `nosuch`; there are wsgiapp, ",
        ),
    ] {
        let mut command = std::process::Command::new(tests::programs::executable("webserver4a"));
        let (ended, output, errors) = run_to_end(command.args(arguments));
        assert_eq!((ended, output.as_str()), (Some(code), ""), "{errors}");
        assert!(errors.starts_with(begins), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

/// Eight that wait, and fifty clients. Who sleeps in accept is woken for a client of its own.
#[cfg(target_os = "linux")]
#[test]
fn a_herd_that_polls_is_woken_by_each_client() {
    let mut herd = std::process::Command::new(tests::programs::executable("herd"));
    let (code, output, errors) = run_to_end(&mut herd);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(
        output,
        "in accept: 1 for each client\nin poll: 8 for each client\n"
    );
}

//! One thread for all clients.

use super::{assert_serves, ECHOED, HALF, REST};
use crate::part3::any_application::applications_answer_as_through_webserver2;
use nix::sys::resource::{getrlimit, Resource};
use nix::sys::signal::Signal;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStdout, Stdio};
use std::time::{Duration, Instant};
use tests::client::{get, Client, End};
use tests::programs::command;
use tests::server::{Group, Server, Setup};
use tests::wait_for;

const ECHO_4C: &str = "webserver4c validator:echoapp:app";

#[test]
fn applications_answer_through_4c_as_through_webserver2() {
    applications_answer_as_through_webserver2("webserver4c");
}

/// Clients in a process of their own: these tests need their descriptors.
pub(super) struct Silent {
    _process: Group,
    _lines: BufReader<ChildStdout>,
}

impl Silent {
    pub(super) fn connect(server: &Server, number: u64) -> Silent {
        let mut silent = command(&format!("silent {number} {}", server.address));
        silent.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Group::spawn(&mut silent);
        let mut lines = BufReader::new(process.0.stdout.take().expect("it is a pipe"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("it is text");
        assert_eq!(line, format!("{number} clients\n"));
        Silent {
            _process: process,
            _lines: lines,
        }
    }
}

/// A number of `/proc/PID/status`.
pub(super) fn status(server: &Server, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid()));
    let status = status.expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    value.and_then(|value| value.parse().ok()).expect(name)
}

/// Waits until it sleeps in `epoll_wait`, for as long as nothing happens: it makes no
/// call before something does.
pub(super) fn wait_for_sleep_without_end(server: &Server) {
    super::wait_for_sleep_without_end(server.pid(), &super::EPOLL_WAIT, 4);
}

/// At most a kilobyte for each, and nothing to do. The next one is served.
#[test]
fn ten_thousand_silent_clients_cost_a_few_megabytes_and_no_call() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("it is a limit");
    let number = most.saturating_sub(100).min(10_000);
    if number < 10_000 {
        tests::say(&format!(
            "not checked: ten thousand clients, but {number}: this machine has no more than {most} descriptors (ulimit -Hn)"
        ));
    }
    let server = Server::start("webserver4c wsgiapp:app");
    assert_serves(&server);
    wait_for_sleep_without_end(&server);
    let before = status(&server, "VmRSS");
    let silent = Silent::connect(&server, number);
    wait_for("all of them", || {
        (server.descriptors() as u64 >= number).then_some(())
    });
    wait_for_sleep_without_end(&server);
    assert_eq!(status(&server, "Threads"), 1);
    assert_eq!(server.children(), []);
    let after = status(&server, "VmRSS");
    assert!(
        after - before <= number / 1_000 * 1_024,
        "{before} to {after} kB"
    );
    assert!(after < 10_000, "{after} kB");

    // As little is done for the next one as for the first.
    let slept = status(&server, "voluntary_ctxt_switches");
    assert_serves(&server);
    wait_for_sleep_without_end(&server);
    let slept = status(&server, "voluntary_ctxt_switches") - slept;
    assert!(slept <= 4, "it was woken {slept} times");
    assert_eq!(server.errors(), "");
    server.signal(Signal::SIGKILL); // first: it would look at each of them as it leaves
    drop(silent);
}

/// Ctrl-Z, and `fg`: its `epoll_wait` ends with EINTR, although there is no handler.
#[test]
fn stopped_and_continued_it_goes_on_serving() {
    let server = Server::start("webserver4c wsgiapp:app");
    wait_for_sleep_without_end(&server);
    server.signal(Signal::SIGSTOP);
    server.wait_for_state('T');
    server.signal(Signal::SIGCONT);
    assert_serves(&server);
    wait_for_sleep_without_end(&server);
}

/// One has an answer of twelve megabytes, of which a part waits in the server, and does not
/// read it; another leaves in the middle of such an answer.
#[test]
fn a_client_that_does_not_read_and_one_that_resets_cost_the_others_nothing() {
    let mut server = Server::start("webserver4c echoapp:app");
    let descriptors = server.descriptors();
    let large = vec![b'x'; 12_000_000]; // more than two sockets keep
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        large.len()
    );
    let ask = || {
        let mut client = server.connect();
        client.send(&head).send(&large);
        let begin = client.read_some(); // the rest is left where it is
        assert!(begin.starts_with(b"HTTP/1.1 200 OK\r\n"));
        (client, begin)
    };
    let (mut slow, begin) = ask();
    let (gone, _) = ask();
    assert!(server.comes_to_rest(), "it runs, although nobody reads");
    assert_serves(&server);
    gone.reset();
    wait_for("the end of the one that has left", || {
        (server.descriptors() == descriptors + 1).then_some(())
    });
    assert_serves(&server);
    let (rest, end) = slow.read_to_end();
    assert_eq!(end, End::Closed);
    let whole = [begin, rest].concat();
    assert!(whole.ends_with(&large), "{} bytes came", whole.len());
    assert!(server.is_running());
}

/// The client has its answer, and may take its time to leave: two seconds, or what the
/// option says. Nothing is done for it meanwhile.
#[test]
fn a_client_that_keeps_its_end_open_costs_nothing_and_not_for_ever() {
    for (linger, closes) in [("1h", false), ("200ms", true)] {
        let mut server = Server::start(&format!("webserver4c wsgiapp:app --linger {linger}"));
        let before = server.descriptors();
        let mut client = server.connect();
        assert_eq!(client.send(get("/")).read_to_end().1, End::Closed);
        assert!(server.comes_to_rest(), "it runs while a client leaves");
        if closes {
            wait_for("the end of its patience", || {
                (server.descriptors() == before).then_some(())
            });
            wait_for_sleep_without_end(&server);
        } else {
            // What it says now is thrown away, and a reset would cost it the answer.
            for _ in 0..2 {
                assert!(client.takes("x"), "it was closed at once");
                server.wait_until_idle();
            }
            assert_eq!(server.descriptors(), before + 1);
        }
        assert!(server.is_running());
        drop(client);
    }
}

/// Alice has left before her time was up, and Bob has her number when it is. (Somebody
/// who came before her keeps her entry in the queue.)
#[test]
fn who_has_the_number_of_another_is_not_closed_in_their_place() {
    let server = Server::start(&format!("{ECHO_4C} --linger 400ms"));
    let before = server.descriptors();
    let mut first = server.connect();
    first.send(get("/")).read_to_end();
    let mut alice = server.connect();
    alice.send(get("/alice")).read_to_end();
    drop(alice);
    wait_for("the end of Alice's connection", || {
        (server.descriptors() <= before + 1).then_some(())
    });
    let mut bob = server.connect();
    bob.send(HALF);
    wait_for("the end of the first", || {
        (server.descriptors() <= before + 1).then_some(())
    });
    wait_for_sleep_without_end(&server); // nobody's time will be up any more
    assert!(bob.send(REST).read_to_end().0.ends_with(ECHOED));
}

/// With a dozen descriptors for clients, of whom thirty come. All are served as soon as
/// somebody leaves, and those who are there lose nothing.
#[test]
fn without_a_descriptor_it_stops_accepting_and_ends_nobody() {
    let server = Setup::new("webserver4c wsgiapp:app --linger 1h").most_descriptors(20);
    let server = server.start().unwrap();
    let clients: Vec<Client> = (0..30).map(|_| server.connect()).collect();
    wait_for("the complaint", || {
        let complains = server.errors().contains("accept: Too many open files");
        complains.then_some(())
    });
    // It would be told again and again that somebody waits.
    wait_for_sleep_without_end(&server);
    assert_eq!(server.errors_when_idle().lines().count(), 1);
    assert_eq!(server.descriptors(), 20);
    let mut clients = clients.into_iter();
    let stays = clients.next(); // so that there is always somebody who could leave
    for mut client in clients.chain(stays) {
        let (answer, end) = client.ask(&get("/"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(end, End::Closed);
    }
    assert_serves(&server);
    wait_for_sleep_without_end(&server);
}

/// Nor does it matter how a body is divided.
#[test]
fn a_request_in_single_bytes_is_answered() {
    let server = Server::start(ECHO_4C);
    let head = "POST / HTTP/1.1\r\nHost: x\r\n";
    let mut others = server.connect();
    others.send(HALF);
    for body in [
        "Content-Length: 10\r\n\r\n1234567890",
        "Transfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n6;a=b\r\n567890\r\n0\r\nX: y\r\n\r\n",
    ] {
        let mut client = server.connect();
        client.send_slowly(format!("\r\n{head}{body}"));
        let (answer, end) = client.read_to_end();
        assert!(
            answer.ends_with(ECHOED),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        assert_eq!(end, End::Closed);
    }
    assert!(others.send(REST).read_to_end().0.ends_with(ECHOED));
}

/// A client that waits for a refusal gets it, whatever is still missing of its request.
#[test]
fn what_is_wrong_is_said_before_all_of_it_is_there() {
    let server = Server::start(ECHO_4C);
    let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n123\r\n";
    for (said, status) in [
        (format!("{chunked}no number\r\n"), "400 Bad Request"),
        (format!("{chunked}3\r\n12345"), "400 Bad Request"),
        (format!("{chunked}{:0300}", 0), "400 Bad Request"),
        (format!("{chunked}FFFFFFFF\r\n"), "413 Content Too Large"),
        (format!("GET /{}", "x".repeat(9_000)), "414 URI Too Long"),
        (
            format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(70_000)),
            "431 Request Header Fields Too Large",
        ),
    ] {
        let (answer, end) = server.connect().exchange(said.as_bytes());
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{said}: {answer}"
        );
        assert_eq!(end, End::Closed);
    }
}

/// Who has begun to ask is answered, and who has said nothing is not waited for.
#[test]
fn int_and_term_let_those_who_ask_have_their_answers() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut server = Server::start(ECHO_4C);
        let (mut silent, mut client) = (server.connect(), server.connect());
        client.send(HALF);
        server.wait_for_output("Content-Length: 10");
        server.signal(signal);
        assert_eq!(silent.read_to_end(), (Vec::new(), End::Closed));
        assert!(Client::try_connect(server.address).is_err());
        let (answer, end) = client.send(REST).read_to_end();
        assert!(answer.ends_with(ECHOED));
        assert_eq!(end, End::Closed);
        drop(client);
        let status = wait_for("its end", || server.ended());
        assert_eq!(status.signal(), Some(signal as i32));
        assert_eq!(server.errors(), "");
    }
}

/// After the time, at the second signal, and at QUIT: each would be an hour.
#[test]
fn those_who_ask_are_not_waited_for_for_ever() {
    for (patience, signals, told) in [
        ("300ms", vec![Signal::SIGTERM], Signal::SIGTERM),
        ("1h", vec![Signal::SIGINT, Signal::SIGTERM], Signal::SIGINT),
        ("1h", vec![Signal::SIGQUIT], Signal::SIGQUIT),
    ] {
        let mut server = Server::start(&format!("{ECHO_4C} --graceful-timeout {patience}"));
        let (mut silent, mut client) = (server.connect(), server.connect());
        client.send(HALF);
        server.wait_for_output("Content-Length: 10");
        let begun = Instant::now();
        for signal in signals {
            server.signal(signal);
            silent.read_to_end(); // it has seen the first
        }
        let status = wait_for("its end", || server.ended());
        match told {
            Signal::SIGQUIT => assert_eq!(status.code(), Some(128 + told as i32)),
            _ => assert_eq!(status.signal(), Some(told as i32)),
        }
        if patience == "300ms" {
            assert!(begun.elapsed() >= Duration::from_millis(300));
        }
        assert_eq!(client.read_to_end().0, b"");
    }
}

/// A body that is expected is asked for at once: the application has not been called.
#[test]
fn a_client_that_expects_to_be_told_is_told_before_the_application_is_called() {
    let server = Server::start("webserver4c wsgiapp:app");
    let head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let mut client = server.connect();
    assert_eq!(
        client.send(head).read_some(),
        b"HTTP/1.1 100 Continue\r\n\r\n"
    );
    let (answer, _) = client.send("12345").read_to_end();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
}

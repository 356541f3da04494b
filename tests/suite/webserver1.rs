//! What Part 1 says of `webserver1`.

use nix::sys::signal::Signal;
use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};
use std::thread;
use tests::client::{fill_queue, get, Client, End};
use tests::experiments::{Audience, Unheard};
use tests::port::Port;
use tests::programs::{command, course, executable};
use tests::server::{run_to_end, Group, Server, Setup};
use tests::{has_tool, left_out, wait_for};

const ANSWER: &str = "HTTP/1.1 200 OK\n\nHello, World!\n";

/// The server has its address out before it accepts, or this would not start.
#[test]
fn the_first_line_is_the_address() {
    let server = Server::start("webserver1");
    let line = format!("Serving HTTP on http://{}/ ...\n", server.address);
    assert_eq!(server.output_when_idle(), line);
    assert_ne!(server.address.port(), 0);
}

#[test]
fn the_answer_is_the_series_byte_for_byte() {
    let server = Server::start("webserver1");
    let answer = server.connect().ask(&get("/hello"));
    assert_eq!(answer, (ANSWER.to_string(), End::Closed));
}

#[test]
fn the_request_is_printed_as_it_came() {
    let server = Server::start("webserver1");
    server.connect().ask(&get("/as/it/came"));
    server.wait_for_output(&get("/as/it/came"));
    // And nothing else, of the buffer say: the next request comes straight behind it.
    server.connect().ask(&get("/next"));
    server.wait_for_output(&get("/next"));
    let line = format!("Serving HTTP on http://{}/ ...\n", server.address);
    let all = format!("{line}{}{}", get("/as/it/came"), get("/next"));
    assert_eq!(server.output(), all);
}

/// What it has not read when it closes resets the connection.
#[test]
fn of_a_request_1024_bytes_are_read() {
    let server = Server::start("webserver1");
    for (length, end) in [(1024, End::Closed), (1025, End::Reset)] {
        let path = "x".repeat(length - get("/").len());
        let (answer, ended) = server.connect().ask(&get(&format!("/{path}")));
        assert_eq!(ended, end, "{length} bytes got {answer:?}");
    }
}

/// What curl calls an empty reply and a reset, of the first stages: with both clients
/// the stage stands still until the client has done what it does first.
#[test]
fn what_is_left_unread_decides_how_it_ends() {
    let ends = |stage: &str, speaks: bool| {
        let port = Port::free();
        let server = Server::start_stage(stage, port.number);
        server.signal(Signal::SIGSTOP);
        server.wait_for_state('T');
        let mut client = server.connect();
        if speaks {
            client.send(get("/hello"));
        }
        server.signal(Signal::SIGCONT);
        let (answer, end) = client.read_to_end();
        (String::from_utf8_lossy(&answer).into_owned(), end)
    };
    let either = [("accept_and_drop", ""), ("write_without_reading", ANSWER)];
    let reads = [("read_and_drop", ""), ("read_then_write", ANSWER)];
    thread::scope(|scope| {
        for (stage, answer) in either {
            scope.spawn(move || assert_eq!(ends(stage, false), (answer.into(), End::Closed)));
            scope.spawn(move || assert_eq!(ends(stage, true), (answer.into(), End::Reset)));
        }
        for (stage, answer) in reads {
            scope.spawn(move || assert_eq!(ends(stage, true), (answer.into(), End::Closed)));
        }
    });
}

/// And `one_after_another` does not: the step from it to the next is about that.
#[test]
fn a_stage_outlives_a_client_that_resets() {
    let port = Port::free();
    let mut server = Server::start_stage("one_after_another", port.number);
    assert_eq!(server.connect().ask(&get("/")).0, ANSWER);
    server.connect().reset();
    let (code, errors) = server.wait_for_end();
    assert_eq!(code, Some(1));
    assert!(errors.contains("ConnectionReset"), "{errors}");

    let port = Port::free();
    let server = Server::start_stage("outlive_a_client", port.number);
    server.connect().reset();
    assert_eq!(server.connect().ask(&get("/")).0, ANSWER);
}

#[test]
fn serves_after_a_client_that_resets() {
    let mut server = Server::start("webserver1");
    for _ in 0..3 {
        let mut client = server.connect();
        client.send(get("/gone"));
        client.reset();
        server.connect().reset();
    }
    assert_eq!(server.connect().ask(&get("/")).0, ANSWER);
    assert!(server.is_running());
}

#[test]
fn serves_after_a_client_that_says_nothing() {
    let server = Server::start("webserver1");
    drop(server.connect());
    assert_eq!(server.connect().finish().read_to_end().0, ANSWER.as_bytes());
    assert_eq!(server.connect().ask(&get("/")).0, ANSWER);
}

#[test]
fn serves_after_bytes_that_are_not_text() {
    let server = Server::start("webserver1");
    let (answer, _) = server.connect().send(b"\xff\xfe\x00\x80").read_to_end();
    assert_eq!(answer, ANSWER.as_bytes());
    assert_eq!(server.connect().ask(&get("/")).0, ANSWER);
}

/// Rust's library asks for a queue of 128; the system may round that up a
/// little, and connections beyond it are not answered.
#[test]
fn the_queue_is_finite() {
    let server = Server::start("webserver1");
    let silent = server.connect();
    let waiting = fill_queue(server.address, 128, 299);
    drop(silent);
    drop(waiting);
    assert_eq!(server.connect().ask(&get("/")).0, ANSWER);
}

/// The programs of Part 1: the steps and the solutions.
fn programs() -> Vec<String> {
    let programs = course().programs.iter().cloned();
    let part1 =
        programs.filter(|program| program.file.starts_with("code/part1") && !program.is_stage());
    let names: Vec<String> = part1.map(|program| program.name).collect();
    assert!(names.len() > 10, "{names:?}");
    names
}

/// Runs a program with these arguments to its end, which must be an error, and
/// gives its exit code and its one line of errors.
fn refused(program: &str, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(executable(program));
    let (code, output, errors) = run_to_end(command.args(arguments));
    assert_eq!(output, "", "{program} {arguments:?}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    let code = code.filter(|code| *code != 0);
    let code = code.unwrap_or_else(|| panic!("{program} {arguments:?} is no error"));
    (code, errors.trim_end().to_string())
}

#[test]
fn a_busy_port_is_one_clear_line() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let (code, error) = refused("webserver1", &[&address]);
    let start = format!("bind {address}: Address already in use (os error ");
    assert!(error.starts_with(&start), "{error}");
    assert!(error.ends_with("); usage: webserver1 [ADDRESS]"), "{error}");
    assert_eq!(code, 1);
}

#[test]
fn a_bad_address_is_one_clear_line() {
    for program in programs() {
        // This one takes the address apart by itself.
        let parses = program == "next_port";
        let invalid = "invalid socket address";
        for (address, word, word_of_next_port) in [
            ("nonsense", invalid, "invalid socket address syntax"),
            ("--help", invalid, "invalid socket address syntax"),
            ("-V", invalid, "invalid socket address syntax"),
            ("", invalid, "invalid socket address syntax"),
            (
                "127.0.0.1:99999",
                "invalid port value",
                "invalid socket address syntax",
            ),
            (
                ":7780",
                "no host before the port",
                "invalid socket address syntax",
            ),
            (
                ":",
                "no host before the port",
                "invalid socket address syntax",
            ),
        ] {
            let word = if parses { word_of_next_port } else { word };
            let error = format!("bind {address}: {word}; usage: {program} [ADDRESS]");
            assert_eq!(refused(&program, &[address]), (1, error));
        }
        let usage = format!("usage: {program} [ADDRESS]");
        assert_eq!(refused(&program, &["127.0.0.1:0", "more"]), (2, usage));
    }
}

/// An argument need not be text.
#[test]
fn a_stray_byte_is_refused_like_any_address() {
    for program in programs() {
        let stray = OsStr::from_bytes(b"\xff");
        let (code, _, errors) = run_to_end(Command::new(executable(&program)).arg(stray));
        let start = "bind \u{fffd}: ";
        assert!(errors.starts_with(start), "{program}: {errors}");
        assert_eq!((code, errors.lines().count()), (Some(1), 1), "{program}");
    }
}

/// A name is an address too.
#[test]
fn a_name_is_looked_up() {
    let server = Setup::new("webserver1").address("localhost:0").start();
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(server.connect().ask(&get("/")).0, ANSWER);
}

/// The reader of the output goes, and that of the errors: no client notices, and
/// no server ends.
#[test]
fn nobody_needs_to_read_what_it_prints() {
    for program in programs() {
        // Those read on until the head is whole.
        let waits = ["whole_request", "patience"].contains(&&program[..]);
        let unended = (!waits).then_some("GET /hello HTTP/1.1");
        let served = serves_without_a_reader(&program, unended);
        served.unwrap_or_else(|error| panic!("{program}: {error}"));
    }
}

/// Whether this program does: for `unended`, which has no line feed and so is kept
/// in a buffer until that is flushed, and for whole requests.
pub fn serves_without_a_reader(program: &str, unended: Option<&str>) -> Result<(), String> {
    let mut command = command(program);
    let ((mut output, stdout), (errors, stderr)) = (Audience::new(), Audience::new());
    command.arg("127.0.0.1:0").stdin(Stdio::null());
    command.stdout(stdout).stderr(stderr);
    let mut server = Group::spawn(&mut command);
    let line = output.line();
    output.go();
    errors.go();
    let address = line.trim_end().strip_prefix("Serving HTTP on http://");
    let address = address.and_then(|line| line.strip_suffix("/ ..."));
    let address: SocketAddr = address.unwrap().parse().unwrap();

    let whole = [get("/hello"), get("/hello")];
    let unended = unended.map(str::to_string).into_iter();
    let requests: Vec<String> = unended.chain(whole).collect();
    let visits = || {
        for request in &requests {
            let client = Client::try_connect(address);
            let mut client = client.map_err(|error| error.to_string())?;
            let (answer, end) = client.try_send(request).read_to_end();
            let answer = String::from_utf8_lossy(&answer);
            if !answer.starts_with("HTTP/1.1 200 OK") || end != End::Closed {
                return Err(format!("a client got {answer:?} and {end:?}"));
            }
            // And something to complain about.
            let client = Client::try_connect(address);
            let mut client = client.map_err(|error| error.to_string())?;
            client.try_send("GET /gone HTTP/1.1");
            client.reset();
        }
        Ok(())
    };
    let visited = visits();
    match server.0.try_wait().unwrap() {
        Some(status) => Err(format!("it has ended with {status}")),
        None => visited,
    }
}

/// Not even of its first line.
#[test]
fn nobody_needs_to_read_where_it_serves() {
    for program in programs() {
        let (mut server, mut client) = Unheard::start(&program);
        let (answer, end) = client.ask(&get("/hello"));
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{program}: {answer}");
        assert_eq!(end, End::Closed, "{program}");
        assert_eq!(server.group.0.try_wait().unwrap(), None, "{program}");
    }
}

/// accept(2): the errors of a connection that is not there any more, and those of
/// the network, are to be taken for "try again". Nor does it end, or spin, when
/// the descriptors are used up.
#[test]
fn no_error_of_accept_ends_it() {
    if !has_tool("strace") {
        return left_out("what errors of accept do", "strace");
    }
    let fails = |program: &str, error: &str| {
        let inject = format!("inject=accept,accept4:error={error}:when=1");
        let words = ["strace", "-o", "/dev/null", "-e", &inject];
        let server = Setup::new(program).under(&words).start();
        let server = server.unwrap_or_else(|error| panic!("{error}"));
        let (answer, _) = server.connect().ask(&get("/"));
        assert!(
            answer.starts_with("HTTP/1.1 "),
            "{program}, {error}: {answer}"
        );
        let said = || server.errors().contains("accept: ").then_some(());
        wait_for("a line about it", said);
    };
    let errors = [
        "ECONNABORTED",
        "EPROTO",
        "ENOPROTOOPT",
        "EHOSTDOWN",
        "ENONET",
        "EHOSTUNREACH",
        "EOPNOTSUPP",
        "ENETDOWN",
        "ENETUNREACH",
        "EPERM",
        "EMFILE",
        "ENFILE",
        "ENOBUFS",
        "ENOMEM",
    ];
    let programs = programs();
    thread::scope(|scope| {
        for error in errors {
            scope.spawn(move || fails("webserver1", error));
        }
        for program in &programs {
            scope.spawn(move || fails(program, "EPROTO"));
        }
    });
}

/// A field below the request line has a second word too.
#[test]
fn solutions_read_the_request_line_alone() {
    for request in [
        "GET\r\nX: /hello\r\n\r\n",
        "GET\nX: /hello\n\n",
        "GET\n/hello HTTP/1.1\n\n",
        "\r\n\r\n",
    ] {
        let server = Server::start("echo_path");
        let (answer, _) = server.connect().ask(request);
        assert_eq!(answer, ANSWER, "{request:?}");
        let server = Server::start("not_found");
        let (answer, _) = server.connect().ask(request);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{request:?}: {answer}");
    }
}

/// Ctrl-Z and `fg` do not end the wait for a client, not even where it has a limit.
#[test]
fn a_stop_loses_no_client() {
    for program in ["webserver1", "whole_request", "patience"] {
        let server = Server::start(program);
        // It may lose its patience with a client who comes too late.
        let served = tests::at_last(|| {
            let mut client = server.connect();
            server.wait_for_state('S');
            server.signal(Signal::SIGSTOP);
            server.wait_for_state('T');
            server.signal(Signal::SIGCONT);
            server.wait_for_state('S');
            client.try_send(get("/")).read_to_end().0 == ANSWER.as_bytes()
        });
        assert!(served, "{program}: {}", server.errors());
    }
}

/// The smallest answer that a client can be sure of: RFC 9112, sections
/// 2.1, 6.3 and 9.6.
#[test]
fn the_smallest_answer_is_framed() {
    let server = Server::start("smallest_answer");
    let answer = server.connect().ask(&get("/hello"));
    let wanted =
        "HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\nHello, World!\n";
    assert_eq!(answer, (wanted.to_string(), End::Closed));
    let body = wanted.split("\r\n\r\n").nth(1).unwrap();
    assert_eq!(body.len(), 14);
}

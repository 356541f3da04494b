//! The client that brings a crowd.

use super::{one_crowd_at_a_time, ANSWER};
use nix::sys::signal::{killpg, Signal};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use tests::programs::executable;
use tests::server::{run_to_end, wait_for_state, Group, Server, Setup};
use tests::{processes, wait_for, LIMIT};

/// The original ends after its first connection, whatever it was asked for.
#[test]
fn client3_honours_both_flags() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut command = Command::new(executable("client3"));
    command.args(["--max-clients", "3", "--max-conns", "4"]);
    command.args(["--patience", "25", "--address", &address]);
    command.stdout(Stdio::piped());
    let mut client = Group::spawn(&mut command);
    let mut connections: Vec<TcpStream> = (0..12).map(|_| accept(&listener)).collect();
    let processes = processes::children(client.0.id());
    assert_eq!(processes.len(), 3, "{processes:?}");
    if processes::lists_descriptors() {
        // It has closed its copy of their end of the pipe, and reads the other.
        wait_for_state(client.0.id(), 'S');
        for process in processes {
            // One end of the pipe each, and the four.
            let inherited = processes::descriptors(client.0.id()).unwrap();
            assert_eq!(processes::descriptors(process.pid), Some(inherited + 4));
        }
    }
    for connection in &mut connections {
        let request = read_request(connection);
        assert!(request.starts_with(b"GET /hello HTTP/1.1\r\n"));
        connection.write_all(ANSWER.as_bytes()).unwrap();
    }
    drop(connections);
    let status = wait_for("its end", || client.0.try_wait().unwrap());
    let stdout = client.0.stdout.take();
    drop(client); // or a child could hold the pipe open
    let mut output = String::new();
    stdout.unwrap().read_to_string(&mut output).unwrap();
    let summary = "3 x 4 connections: 12 answered, 0 refused, 0 reset, 0 timed out\n";
    assert_eq!((status.code(), output.as_str()), (Some(0), summary));
}

/// A connection, if one comes in time, that is read and written in time.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let (connection, _) = wait_for("a connection", || listener.accept().ok());
    connection.set_nonblocking(false).unwrap();
    connection.set_read_timeout(Some(LIMIT)).unwrap();
    connection
}

fn read_request(connection: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    request
}

#[test]
fn client3_tells_what_became_of_each_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let mut connections: Vec<TcpStream> = (0..10).map(|_| accept(&listener)).collect();
        for connection in &mut connections {
            read_request(connection);
        }
        let rest = connections.split_off(9); // 1 with nothing
        for connection in connections.drain(..4) {
            { connection }.write_all(ANSWER.as_bytes()).unwrap();
        }
        for connection in connections.drain(..3) {
            let no_linger = nix::libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            let linger = nix::sys::socket::sockopt::Linger;
            nix::sys::socket::setsockopt(&connection, linger, &no_linger).unwrap();
        }
        (rest, connections.split_off(1)) // and 1 that is closed
    });
    let mut client = Command::new(executable("client3"));
    // For as long as nobody answers the two that are left.
    client.args([
        "--max-conns",
        "10",
        "--patience",
        "10",
        "--address",
        &address,
    ]);
    let (code, output, _) = run_to_end(&mut client);
    let summary = "1 x 10 connections: 4 answered, 0 refused, 3 reset, 2 timed out, \
                   1 closed without an answer\n";
    assert_eq!((code, output.as_str()), (Some(1), summary));
    drop(server.join().unwrap());

    // The listener has gone with its thread.
    let mut client = Command::new(executable("client3"));
    client.args([
        "--max-clients",
        "2",
        "--max-conns",
        "3",
        "--address",
        &address,
    ]);
    let (code, output, _) = run_to_end(&mut client);
    let summary = "2 x 3 connections: 0 answered, 6 refused, 0 reset, 0 timed out\n";
    assert_eq!((code, output.as_str()), (Some(1), summary));
}

#[test]
fn client3_says_when_its_own_limits_are_in_the_way() {
    let _alone = one_crowd_at_a_time();
    let server = Server::start("webserver3g");
    let address = server.address.to_string();
    let client = Setup::new("client3").most_descriptors(20);
    let (code, output, errors) = client.run(&["--max-conns", "50", "--address", &address]);
    assert_eq!((code, output.as_str()), (Some(1), ""));
    let error = "of a client: Too many open files (os error 24); \
                 raise `ulimit -n`, or ask for fewer --max-conns\n";
    assert!(errors.starts_with("connection "), "{errors}");
    assert!(errors.ends_with(error), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let client = Setup::new("client3").most_processes(10);
    let (code, output, errors) = client.run(&["--max-clients", "500", "--address", &address]);
    assert_eq!((code, output.as_str()), (Some(1), ""));
    let error = ": EAGAIN: Try again; `ulimit -u` limits your processes\n";
    assert!(errors.starts_with("fork client "), "{errors}");
    assert!(errors.ends_with(error), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn client3_refuses_what_it_cannot_do() {
    for (arguments, code, message) in [
        (["--max-clients", "many"], 2, "invalid value 'many'"),
        (["--patience", "0"], 2, "0 is not in 1..=86400"),
        (
            ["--max-client", "2"],
            2,
            "unexpected argument '--max-client' found",
        ),
        (
            ["127.0.0.1:1", "--patience=1"],
            2,
            "unexpected argument '127.0.0.1:1' found",
        ),
        (
            ["--address", "127.0.0.1"],
            1,
            "--address 127.0.0.1: invalid socket address",
        ),
        (
            ["--address", ":1"],
            1,
            "--address :1: no host before the port",
        ),
    ] {
        let mut client = Command::new(executable("client3"));
        let (ended, output, errors) = run_to_end(client.args(arguments));
        assert_eq!((ended, output.as_str()), (Some(code), ""), "{errors}");
        assert!(errors.contains(message), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
    for (argument, begins) in [
        ("--help", "Many clients at once"),
        ("-h", "Many"),
        ("--version", "client3 "),
    ] {
        let mut client = Command::new(executable("client3"));
        let (ended, output, errors) = run_to_end(client.arg(argument));
        assert_eq!((ended, errors.as_str()), (Some(0), ""));
        assert!(output.starts_with(begins), "{output}");
    }
}

/// STOP and CONT, which Ctrl-Z and `fg` send, interrupt a read that has a limit.
#[test]
fn client3_goes_on_after_it_has_been_stopped() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut command = Command::new(executable("client3"));
    command.args(["--patience", "25", "--address", &address]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut client = Group::spawn(&mut command);
    let mut connection = accept(&listener);
    read_request(&mut connection);
    let child = wait_for("its child", || processes::children(client.0.id()).pop());
    wait_for_state(child.pid, 'S');
    let group = Pid::from_raw(client.0.id() as i32);
    for _ in 0..3 {
        killpg(group, Signal::SIGSTOP).unwrap();
        wait_for_state(child.pid, 'T');
        killpg(group, Signal::SIGCONT).unwrap();
        wait_for_state(child.pid, 'S');
    }
    connection.write_all(ANSWER.as_bytes()).unwrap();
    drop(connection);
    let status = wait_for("its end", || client.0.try_wait().unwrap());
    let mut output = String::new();
    let mut stdout = client.0.stdout.take().expect("it is a pipe");
    stdout.read_to_string(&mut output).unwrap();
    let summary = "1 x 1 connections: 1 answered, 0 refused, 0 reset, 0 timed out\n";
    assert_eq!((status.code(), output.as_str()), (Some(0), summary));
}

/// A result that is lost is a failure, and a word about its address is not due to
/// every error.
#[test]
fn client3_says_what_has_failed_and_blames_nothing_else() {
    let server = Server::start("webserver3g");
    let address = server.address.to_string();
    if let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") {
        let mut command = Command::new(executable("client3"));
        command.args(["--address", &address]).stdin(Stdio::null());
        let output = command.stdout(full).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        // On a busy machine it says once a second how far it is.
        let mut lines = errors
            .lines()
            .skip_while(|line| line.starts_with("so far "));
        let said = lines.next().unwrap_or_default();
        assert!(
            said.starts_with("print `1 x 1 connections: 1 answered,"),
            "{errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
    if !tests::has_tool("strace") {
        return tests::left_out("errors of connect and read", "strace");
    }
    for (inject, message) in [
        ("socket:error=ENOBUFS", "connection 1 of a client: No buffer space available (os error 105)\n"),
        ("recvfrom:error=EIO", "connection 1 of a client: Input/output error (os error 5)\n"),
        (
            "connect:error=ENETUNREACH",
            "connection 1 of a client: Network is unreachable (os error 101); is --address right?\n",
        ),
    ] {
        let inject = format!("inject={inject}");
        let setup = Setup::new("client3");
        let strace = ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", "signal=none", "-e", &inject];
        let (code, _, errors) = setup.under(&strace).run(&["--address", &address]);
        assert_eq!((code, errors.as_str()), (Some(1), message));
    }
}

/// An answer without an end is a byte now and then, for ever.
#[test]
fn an_answer_without_end_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        while std::io::Write::write_all(&mut connection, b"x").is_ok() {
            thread::sleep(Duration::from_millis(1)); // it takes what there is to take
        }
    });
    let mut command =
        tests::programs::command(&format!("client3 --patience 1 --address {address}"));
    let (code, output, _) = tests::server::run_to_end(&mut command);
    let timed_out = "1 x 1 connections: 0 answered, 0 refused, 0 reset, 1 timed out\n";
    assert_eq!((code, output.as_str()), (Some(1), timed_out));
    server.join().unwrap();
}

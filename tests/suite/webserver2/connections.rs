//! Connections from accept to close, and what is said of them.

use super::{ask, echoed, serves, whole, HELLO};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::Stdio;
use tests::answer::Answer;
use tests::client::{get, last, Client, End};
use tests::experiments::{Audience, WITH_A_LOG_OF_ONE_BLOCK};
use tests::programs;
use tests::server::{Group, Server};
use tests::{has_tool, left_out, wait_for};

const SERVERS: &[&str] = &[
    "webserver2",
    "webserver3h",
    "webserver4a",
    "webserver4b",
    #[cfg(target_os = "linux")] // it needs epoll
    "webserver4c",
    #[cfg(target_os = "linux")]
    "webserver4d",
];

/// A close would be a reset where something is unread, and where something comes
/// after it, and the answer is larger than what a system keeps for its client.
#[test]
fn nothing_that_comes_behind_a_request_costs_the_answer() {
    for program in SERVERS {
        let server = Server::start(&format!("{program} streamapp:large"));
        for size in [60, 999, 1_000, 1_001, 1_024, 2_000] {
            let start = "GET / HTTP/1.1\r\nConnection: close\r\nHost: x\r\nX: ";
            let value = "x".repeat(size - start.len() - 4);
            let request = format!("{start}{value}\r\n\r\n");
            let at_once = [&request[..], &get("/second")].concat();
            let answer = whole(server.connect().exchange(at_once.as_bytes()));
            assert_eq!(answer.body.len(), 1_000_000, "{program}, {size}");

            // The second comes when the first is being answered, and again.
            let mut client = server.connect();
            let mut came = client.send(&request).read_some();
            client.send(get("/second"));
            came.extend(client.read_some());
            client.try_send(get("/third"));
            // Where all of the answer has arrived before the third was sent, that may find
            // the connection closed: a reset, behind an answer which is whole.
            let (rest, _) = client.read_to_end();
            came.extend(rest);
            let answer = whole((came, End::Closed));
            assert_eq!(answer.body.len(), 1_000_000, "{program}, {size}");
        }
    }
}

/// The request has come, and the answer has arrived: there is nothing to wait for,
/// whether anybody has read the body or not.
#[test]
fn a_client_that_keeps_its_end_open_holds_nobody() {
    for application in ["echoapp:app", "wsgiapp:app"] {
        let server = Server::start(&format!("webserver2 {application} --linger 1h"));
        for request in [
            get("/"),
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345".to_string(),
        ] {
            let mut first = server.connect();
            let answer = whole(first.send(&request).read_to_end());
            assert_eq!(answer.status, "200 OK");
            assert_eq!(ask(&server, get("/")).status, "200 OK", "{application}");
            drop(first);
        }
    }
}

/// Neither HTTP's silence nor a body without end holds it longer than it was told.
#[test]
fn patience_is_an_option() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    for (linger, at_once) in [
        ("--linger 0s", true),
        ("--linger 0", true),
        ("--linger 1ns", true),
        ("--linger 1h", false),
    ] {
        let server = Server::start(&format!("webserver2 wsgiapp:app {linger}"));
        let mut first = server.connect();
        let answer = whole(first.send(head).read_to_end()); // and its body never comes
        assert_eq!(answer.body, HELLO.as_bytes());
        // What comes for a socket that is closed is answered with a reset.
        let mut second = server.connect();
        if at_once {
            let closed = tests::at_last(|| !first.takes("x"));
            assert!(closed, "{linger}");
            second.send(get("/"));
        } else {
            let closed = tests::soon(|| !first.takes("x"));
            let (early, _) = second.send(get("/")).read_soon();
            assert!(!closed && early.is_empty(), "{linger}");
            drop(first);
        }
        assert_eq!(whole(second.read_to_end()).body, HELLO.as_bytes());
    }
}

/// PEP 3333: the application asks for the body by reading.
#[test]
fn nobody_is_told_to_send_what_nobody_reads() {
    let head = |length| {
        format!("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
    };
    // These have to have the body before they call the application.
    let late = ["webserver4c", "webserver4d"];
    for program in SERVERS.iter().filter(|name| !late.contains(name)) {
        let server = Server::start(&format!("{program} validator:wsgiapp:app"));
        let answer = whole(server.connect().send(head(5)).finish().read_to_end());
        assert_eq!((&answer.status[..], &answer.text()[..]), ("200 OK", HELLO));

        // Nor is one that does not wait.
        let server = Server::start(&format!("{program} validator:echoapp:app"));
        let answer = ask(&server, head(5) + "12345");
        assert_eq!(echoed(&answer).1, b"12345");
        assert_eq!(answer.status, "200 OK");
    }
}

/// Whatever its bytes are, with a length and in chunks.
#[test]
fn a_body_comes_back_byte_for_byte() {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_001).collect();
    let (one, other) = bytes.split_at(33);
    let mut chunks = format!("{:x}\r\n", one.len()).into_bytes();
    chunks.extend(
        [
            one,
            format!("\r\n{:X};x=y\r\n", other.len()).as_bytes(),
            other,
        ]
        .concat(),
    );
    chunks.extend(b"\r\n0\r\n\r\n");
    let length = format!("Content-Length: {}", bytes.len());
    for program in SERVERS {
        let server = Server::start(&format!("{program} validator:echoapp:body"));
        for (framing, sent) in [
            (&length[..], &bytes),
            ("Transfer-Encoding: chunked", &chunks),
        ] {
            let head =
                format!("POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\nConnection: close\r\n\r\n");
            let came = server
                .connect()
                .send([head.as_bytes(), sent].concat())
                .read_to_end();
            assert!(whole(came).body == bytes, "{program}, {framing}");
        }
    }
}

#[test]
fn each_limit_is_an_option() {
    let fields = |number| "X: y\r\n".repeat(number);
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let chunk = |line: &str| post("Transfer-Encoding: chunked\r\n") + line + "\r\nx\r\n0\r\n\r\n";
    for program in SERVERS {
        let server = Server::start(&format!(
            "{program} echoapp:app --max-line 40 --max-head 1K --max-fields 10 --max-body 2K \
             --max-chunk-line 8"
        ));
        for (fits, does_not, status) in [
            (
                get(&"/x".repeat(10)),
                get(&"/x".repeat(20)),
                "414 URI Too Long",
            ),
            (
                post(&format!("X: {}\r\n", "y".repeat(900))),
                post(&format!("X: {}\r\n", "y".repeat(1_024))),
                "431 Request Header Fields Too Large",
            ),
            (
                post(&fields(8)), // and `Connection`
                post(&fields(10)),
                "431 Request Header Fields Too Large",
            ),
            (
                post("Content-Length: 2048\r\n") + &"x".repeat(2_048),
                post("Content-Length: 2049\r\n"),
                "413 Content Too Large",
            ),
            (chunk("1;a=b"), chunk("1;a=bcdef"), "400 Bad Request"),
        ] {
            assert_eq!(ask(&server, last(&fits)).status, "200 OK", "{fits}");
            assert_eq!(ask(&server, &does_not).status, status, "{does_not}");
        }
    }
    // Without options, what people really upload goes through.
    let server = Server::start("webserver2 echoapp:app");
    let upload = "Content-Length: 50000000\r\n";
    let answer = ask(&server, post(upload) + &"x".repeat(50_000_000));
    assert_eq!(echoed(&answer).1.len(), 50_000_000);
}

/// RFC 3986, section 3.2.2, by way of RFC 3875, section 4.1.14.
#[test]
fn the_name_of_an_ipv6_server_stands_in_brackets() {
    for program in SERVERS {
        let server = Server::try_start(&format!("{program} validator:echoapp:app"), "[::1]:0");
        let server = server.unwrap();
        let answer = ask(&server, "GET / HTTP/1.0\r\n\r\n");
        let (environ, _) = echoed(&answer);
        assert!(
            environ.lines().any(|line| line == "SERVER_NAME=[::1]"),
            "{environ}"
        );
        assert!(
            environ.lines().any(|line| line == "REMOTE_ADDR=::1"),
            "{environ}"
        );
    }
}

/// accept(2): what the new connection suffers from is no reason to stop.
#[test]
fn errors_of_accept_end_nobody() {
    if !has_tool("strace") {
        return left_out("errors of accept", "strace");
    }
    for error in [
        "EPROTO",
        "EHOSTUNREACH",
        "ENETDOWN",
        "EPERM",
        "EMFILE",
        "ECONNABORTED",
    ] {
        let inject = format!("inject=accept4:error={error}:when=1..2");
        let setup = tests::server::Setup::new("webserver2 wsgiapp:app");
        let tool = [
            "strace",
            "-o",
            "/dev/null",
            "-e",
            "trace=accept4",
            "-e",
            &inject,
        ];
        let mut server = setup.under(&tool).start().unwrap();
        assert_eq!(ask(&server, get("/")).text(), HELLO, "{error}");
        let errors = server.errors();
        assert_eq!(errors.matches("accept: ").count(), 2, "{error}: {errors}");
        serves(&mut server);
    }
}

/// A server whose outputs are ours to read, or not.
struct Watched {
    server: Group,
    address: SocketAddr,
    output: Option<Audience>,
    errors: Option<Audience>,
}

impl Watched {
    fn start(program: &str) -> Watched {
        let mut command = programs::command(&format!("{program} 127.0.0.1:0"));
        let ((mut output, stdout), (errors, stderr)) = (Audience::new(), Audience::new());
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let server = Group::spawn(&mut command);
        let line = output.line();
        let address = line.trim_end().strip_prefix("Serving HTTP on http://");
        let address = address.and_then(|rest| rest.strip_suffix("/ ..."));
        let address = address.unwrap_or_else(|| panic!("{program} began with `{line}`"));
        Watched {
            address: address.parse().unwrap(),
            errors: Some(errors),
            output: Some(output),
            server,
        }
    }

    fn ask(&self, request: &str) -> Answer {
        whole(Client::connect(self.address).exchange(request.as_bytes()))
    }
}

/// Its readers may have gone, and may have stopped reading without going.
#[test]
fn a_log_that_nobody_reads_costs_no_client_anything() {
    let programs = [
        "webserver2",
        "webserver3h",
        "webserver4a",
        "webserver4b",
        #[cfg(target_os = "linux")]
        "webserver4c",
        #[cfg(target_os = "linux")]
        "webserver4d",
        "range",
        "compress",
        "mounted",
    ];
    for program in programs {
        let mut server = Watched::start(&format!("{program} wsgiapp:app"));
        [server.output.take(), server.errors.take()]
            .into_iter()
            .flatten()
            .for_each(Audience::go);
        let wiki = last(&get("/wiki"));
        for request in [&wiki, "GET / HTTP/2.0\r\n\r\n", "nonsense\r\n\r\n"] {
            for _ in 0..3 {
                let answer = server.ask(request);
                let wanted = if request.contains("wiki") {
                    "200 OK"
                } else {
                    "4"
                };
                let wanted = if request.contains("2.0") {
                    "505"
                } else {
                    wanted
                };
                assert!(answer.status.starts_with(wanted), "{program}: {answer:?}");
            }
        }
        assert!(
            server.server.0.try_wait().unwrap().is_none(),
            "{program} ended"
        );
    }

    // A pipe keeps 64 KiB on Linux, and at most a megabyte elsewhere.
    for program in SERVERS {
        let mut server = Watched::start(&format!("{program} failapp:late"));
        // To HTTP/1.0 nobody answers in chunks.
        let long = format!("GET / HTTP/1.0\r\nX: {}\r\n\r\n", "y".repeat(50_000));
        for _ in 0..30 {
            let answer = server.ask(&long);
            assert_eq!(answer.text(), "All is w", "{program}");
        }
        if *program != "webserver2" {
            continue; // what a child has left out, only that child could tell
        }
        // Whoever reads again learns that something is missing.
        let pid = server.server.0.id() as i32;
        let output = server.output.take().unwrap().stay();
        let reader = std::thread::spawn(move || {
            let mut lines = output.lines().map_while(Result::ok);
            lines.any(|line| line.ends_with(" bytes were left out: nobody read them]"))
        });
        wait_for("the gap to be told", || {
            server.ask(&long);
            reader.is_finished().then_some(())
        });
        assert!(reader.join().unwrap(), "{program}");
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let mut errors = String::new();
        server
            .errors
            .take()
            .unwrap()
            .stay()
            .read_to_string(&mut errors)
            .unwrap();
        assert!(!errors.contains("panicked"), "{program}: {errors}");
    }
}

/// What was typed, or what a client has sent, is no command for the terminal.
#[test]
fn errors_hold_no_control_characters() {
    for program in SERVERS {
        let mut command = programs::command(program);
        command.arg("x\u{1b}[31m:app");
        let (code, _, errors) = tests::server::run_to_end(&mut command);
        assert_eq!(code, Some(1));
        assert!(errors.contains("[31m"), "{errors}");
        assert!(!errors.trim_end().contains(char::is_control), "{errors:?}");
    }
    let server = Server::start("webserver2 failapp:panic");
    ask(
        &server,
        "GET /\x1b[31m HTTP/1.1\r\nHost: \x1b\r\nX\x1b: y\r\n\r\n",
    );
    server.wait_for_output("bytes data]");
    let text = server.output() + &server.errors();
    let allowed = |c: char| !c.is_control() || c == '\n';
    assert!(text.chars().all(allowed), "{text:?}");
    assert_eq!(server.connect().finish().read_to_end().1, End::Closed);
}

/// `ulimit -f`: to write more than a file may hold is an error, and by default the end,
/// by SIGXFSZ.
#[test]
fn a_full_log_costs_no_client_anything() {
    for program in [
        "webserver2",
        "webserver3h",
        "webserver4a",
        "webserver4b",
        #[cfg(target_os = "linux")]
        "webserver4c",
        #[cfg(target_os = "linux")]
        "webserver4d",
        "range",
        "compress",
        "mounted",
    ] {
        let setup = tests::server::Setup::new(&format!("{program} wsgiapp:app"));
        let setup = setup.under(&["sh", "-c", WITH_A_LOG_OF_ONE_BLOCK]);
        let mut server = setup.start().unwrap();
        for _ in 0..2 {
            let answer = ask(&server, last(&get(&format!("/wiki?{}", "x".repeat(900)))));
            assert_eq!(answer.status, "200 OK", "{program}");
            let answer = ask(&server, "GET / HTTP/2.0\r\n\r\n");
            let wanted = "505 HTTP Version Not Supported";
            assert_eq!(answer.status, wanted, "{program}");
        }
        assert!(server.is_running(), "{program}");
    }
}

/// Ignored, SIGXFSZ would be ignored in all that an application executes; a handler goes.
#[cfg(target_os = "linux")]
#[test]
fn what_is_executed_has_the_default_of_the_signal() {
    let signal = 1_u64 << (Signal::SIGXFSZ as u32 - 1);
    for program in SERVERS {
        let server = Server::start(&format!("{program} wsgiapp:app"));
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        for (field, there) in [("SigIgn:", false), ("SigCgt:", true)] {
            let set = status.lines().find_map(|line| line.strip_prefix(field));
            let set = u64::from_str_radix(set.unwrap().trim(), 16).unwrap();
            assert_eq!(set & signal != 0, there, "{program}, {field}: {set:x}");
        }
    }
}

/// The window of a terminal may be frozen, its buffer full to any byte.
#[test]
fn a_frozen_terminal_costs_no_client_anything() {
    for program in SERVERS {
        for (length, requests) in [(1, 120), (59, 100), (300, 60), (4_000, 10)] {
            let (mut window, terminal) = tests::terminal::pty();
            let mut command = programs::command(&format!("{program} wsgiapp:app 127.0.0.1:0"));
            command.stdin(Stdio::null()).stderr(Stdio::null());
            let _server = Group::spawn(command.stdout(terminal));
            drop(command); // or our end of the terminal would be held open
            let mut line = Vec::new();
            while !line.ends_with(b"\n") {
                let mut byte = [0];
                window.read_exact(&mut byte).unwrap();
                line.extend(byte);
            }
            let line = String::from_utf8(line).unwrap();
            let address = line.split("http://").nth(1).unwrap();
            let address: SocketAddr = address.split('/').next().unwrap().parse().unwrap();
            let value = "y".repeat(length);
            let request = last(&format!("GET / HTTP/1.1\r\nHost: x\r\nX: {value}\r\n\r\n"));
            for _ in 0..requests {
                let answer = whole(Client::connect(address).exchange(request.as_bytes()));
                assert_eq!(answer.text(), HELLO, "{program}, {length}");
            }
        }
    }
}

/// What Rust itself says of a panic waits for its reader.
#[test]
fn a_panic_that_nobody_reads_costs_no_client_anything() {
    for program in SERVERS {
        let (_reader, writer) = std::io::pipe().unwrap();
        let full = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK);
        nix::fcntl::fcntl(&writer, full).unwrap();
        while nix::unistd::write(&writer, &[b'x'; 512]).is_ok() {}
        let waits = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty());
        nix::fcntl::fcntl(&writer, waits).unwrap();

        let mut command = programs::command(&format!("{program} failapp:panic 127.0.0.1:0"));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(writer).env_remove("RUST_BACKTRACE");
        let mut server = Group::spawn(&mut command);
        let mut output = BufReader::new(server.0.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap();
        let address: SocketAddr = address.split('/').next().unwrap().parse().unwrap();
        for _ in 0..3 {
            let answer = whole(Client::connect(address).exchange(last(&get("/")).as_bytes()));
            assert_eq!(answer.status, "500 Internal Server Error", "{program}");
        }
    }
}

/// The largest values that an option takes, and a client that makes use of them.
#[test]
fn the_largest_limits_are_limits() {
    for program in SERVERS {
        let most = u64::MAX;
        let server = Server::start(&format!(
            "{program} wsgiapp:app --max-body {most} --linger {most}s"
        ));
        for _ in 0..2 {
            let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {most}\r\n\r\n");
            let answer = whole(server.connect().send(head).finish().read_to_end());
            let wanted = match *program {
                // It has to have the body before it calls the application.
                "webserver4d" => "400 Bad Request: the body breaks off\n",
                _ => HELLO,
            };
            assert_eq!(answer.text(), wanted, "{program}");
        }
        assert!(!server.errors_when_idle().contains("panicked"), "{program}");
    }
}

//! `webserver3h`: any application, a process for each request.

use crate::changed;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::net::TcpListener;
use std::process::Command;
use tests::client::{get, End};
use tests::experiments::silent_client;
use tests::programs::executable;
use tests::server::{run_to_end, Server};
use tests::{beside_each_other, wait_for};

#[test]
fn applications_answer_through_3h_as_through_webserver2() {
    applications_answer_as_through_webserver2("webserver3h");
}

/// Whatever the application and whatever the request, but for the server's name, the
/// time, and the ports.
pub(crate) fn applications_answer_as_through_webserver2(program: &str) {
    let requests = [
        get("/"),
        get("/hello/J%C3%BCrgen?a=b"),
        get("/slow"),
        get("/stream"),
        "HEAD /nothing HTTP/1.1\r\nHost: x\r\n\r\n".to_string(),
        format!(
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{}",
            "0123456789".repeat(10_000)
        ),
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\n12345\r\n3\r\n678\r\n0\r\n\r\n"
            .to_string(),
        "good morning\r\n\r\n".to_string(),
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
            "x".repeat(100_000)
        ),
    ];
    let applications = [
        "wsgiapp:app",
        "echoapp:app",
        "validator:accesslog:validator:echoapp:app",
        "validator:streamapp:app",
        "streamapp:late",
        "streamapp:write",
        "streamapp:large",
        "validator:failapp:early",
        "failapp:late",
        "failapp:panic",
        "axumapp:app",
        "validator:axumapp:app",
    ];
    beside_each_other(&applications, |application| {
        let servers = ["webserver2", program];
        let servers = servers.map(|program| Server::start(&format!("{program} {application}")));
        for request in &requests {
            let [before, now] = servers.each_ref().map(|server| {
                let (answer, end) = server.connect().exchange(request.as_bytes());
                assert_eq!(end, End::Closed, "{application}");
                let answer = String::from_utf8(answer).expect("these answer with text");
                let lines = answer.split_inclusive('\n').map(|line| {
                    let varies = [
                        "Date: ",
                        "Content-Length: ", // of what echoapp says of the server
                        "SERVER_PORT=",
                        "REMOTE_PORT=",
                    ];
                    match varies.iter().find(|start| line.starts_with(*start)) {
                        Some(start) => format!("{start}...\n"),
                        None => line.replace(program, "webserver2"),
                    }
                });
                lines.collect::<String>()
            });
            let start: String = request.chars().take(100).collect();
            assert!(before.starts_with("HTTP/1.1 "), "{application}: {start}");
            assert!(before == now, "{application}: {start}: {before:?}, {now:?}");
        }
        assert_eq!(servers[1].lasting_zombies(), 0, "{application}");
    });
}

/// The application waits for the rest of a body.
#[test]
fn a_slow_application_holds_nobody_else_in_3h() {
    for (program, holds) in [("webserver2", true), ("webserver3h", false)] {
        let server = Server::start(&format!("{program} validator:echoapp:app"));
        let mut slow = server.connect();
        slow.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345");
        let mut others = [server.connect(), server.connect()];
        for other in &mut others {
            other.send(get("/other"));
        }
        server.wait_until_idle();
        for other in &mut others {
            assert_eq!(other.read_now().is_empty(), holds, "{program}");
        }
        let (answer, end) = slow.send("67890").read_to_end();
        assert!(answer.ends_with(b"\n\n1234567890"), "{program}");
        assert_eq!(end, End::Closed, "{program}");
    }
}

/// By a panic, which the gateway catches, and by what nobody can catch.
#[test]
fn an_application_that_fails_in_3h_hurts_its_own_client() {
    let mut server = Server::start("webserver3h validator:failapp:panic");
    let (mut patient, _) = silent_client(&server);
    for _ in 0..3 {
        let (answer, end) = server.connect().ask(&get("/"));
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert_eq!(end, End::Closed);

        let (mut unlucky, child) = silent_client(&server);
        let sent = kill(Pid::from_raw(child as i32), Signal::SIGABRT);
        assert_eq!(sent, Ok(()));
        assert_eq!(unlucky.read_to_end(), (Vec::new(), End::Closed));
    }
    let (answer, end) = patient.ask(&get("/?x"));
    assert!(answer.ends_with("\r\n\r\nx"), "{answer}");
    assert_eq!(end, End::Closed);
    let panicked = |server: &Server| {
        server
            .errors_when_idle()
            .matches("application panicked\n")
            .count()
    };
    assert_eq!(panicked(&server), 3, "{}", server.errors());
    assert!(server.is_running());
    assert_eq!(server.lasting_zombies(), 0);
    assert_eq!(server.children(), []);
}

#[test]
fn an_application_of_3h_counts_in_vain_and_has_its_children_to_itself() {
    let curious = changed("curious");
    let server = Server::start(&format!("{} curious", curious.display()));
    for _ in 0..3 {
        let (answer, _) = server.connect().ask(&get("/"));
        let (_, found) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let wanted = "visits: 1; multithread, multiprocess, run_once: false, true, true; \
                      child: exit status: 0";
        assert_eq!(found, wanted);
    }
    // A program that it leaves running has not got the client's connection.
    let (answer, end) = server.connect().ask(&get("/leaves"));
    assert!(answer.contains("visits: 1"), "{answer}");
    assert_eq!(end, End::Closed);
    // The programs of its thread are that thread's to ask for, and hide none of ours.
    server.wait_until_idle();
    let mark = std::env::temp_dir().join(format!("curious-{}", server.pid()));
    std::fs::write(&mark, "").unwrap();
    let errors = wait_for("how the program ended", || {
        let errors = server.errors();
        let (_, after) = errors.split_once("the program: ")?;
        after.contains('\n').then_some(errors) // its thread writes piece by piece
    });
    std::fs::remove_file(&mark).unwrap();
    assert!(errors.contains("the program: exit status: 3\n"), "{errors}");
    assert_eq!(server.lasting_zombies(), 1, "{:?}", server.children());
}

#[test]
fn what_3h_cannot_serve_is_one_clear_line() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().unwrap().to_string();
    let missing = "the following required arguments were not provided: <APPLICATION>; usage: ";
    for (arguments, code, begins, ends) in [
        (vec![], 2, missing, "\n"),
        (
            vec!["wsgiapp:app", "127.0.0.1:0", "again"],
            2,
            "unexpected argument 'again' found",
            "\n",
        ),
        (
            vec!["wsgiapp:app", ":1"],
            1,
            "bind :1: no host before the port",
            "\n",
        ),
        (
            vec!["nosuch:app"],
            1,
            "there is no module `nosuch`; there are wsgiapp, ",
            "\n",
        ),
        (
            vec!["wsgiapp:app", &busy],
            1,
            &format!("bind {busy}: Address"),
            "; another address can be the last argument\n",
        ),
    ] {
        let mut command = Command::new(executable("webserver3h"));
        let (ended, output, errors) = run_to_end(command.args(arguments));
        assert_eq!((ended, output.as_str()), (Some(code), ""), "{errors}");
        assert!(
            errors.starts_with(begins) && errors.ends_with(ends),
            "{errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

//! Software that others wrote asks `webserver4d`: nginx and HAProxy in front of it, and
//! wrk with sixteen requests at a time.
//!
//!     cargo test --test suite --features tests/fronts fronts::
//!
//! Their configuration stands in `tests/fronts`.

use crate::part4::http1_server::{next, read_answer, Answer};
use nix::sys::signal::{kill, Signal};
use nix::unistd::{chown, geteuid, Gid, Pid, Uid};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use tests::client::{get, last, Client, End};
use tests::port::Port;
use tests::server::{run_to_end, Group, Server};
use tests::{beside_each_other, has_tool, left_out, wait_for};

const FRONTS: [&str; 2] = ["nginx", "haproxy"];

/// No system gives this number to a user, and no other test.
const NOBODY: u32 = 60_599;

/// More than any buffer on the way.
const LARGE: usize = 20_000_000;

/// A proxy in front of servers. Dropping it ends it, and removes what it wrote.
struct Front {
    address: SocketAddr,
    process: Group,
    folder: PathBuf,
    _port: Port,
}

impl Front {
    /// Starts one of [`FRONTS`], with the addresses of these servers in the place of their
    /// names; none where it is not installed, which fails in CI.
    fn start(tool: &str, servers: &[(&str, &Server)]) -> Option<Front> {
        if !has_tool(tool) {
            left_out(&format!("webserver4d behind {tool}"), tool);
            return None;
        }
        let name = match tool {
            "nginx" => "nginx.conf",
            _ => "haproxy.cfg",
        };
        let port = Port::free();
        let address = SocketAddr::from(([127, 0, 0, 1], port.number));
        let config = fs::read_to_string(book::root().join("tests/fronts").join(name));
        let mut config = config.expect("it stands in the repository");
        config = config.replace("FRONT;", &format!("{address};"));
        config = config.replace("bind FRONT", &format!("bind {address}"));
        for name in ["ECHO", "STRICT", "STREAM", "FAIL"] {
            let mut servers = servers.iter();
            let server = servers.find(|(server, _)| *server == name);
            // Nobody asks there.
            let server = server.map_or("127.0.0.1:1".to_string(), |(_, server)| {
                server.address.to_string()
            });
            config = config.replace(&format!("server {name};"), &format!("server {server};"));
            config = config.replace(&format!("one {name}\n"), &format!("one {server}\n"));
        }

        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = format!("course-front-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).expect("there is room for temporary files");
        let file = folder.join(name);
        fs::write(&file, config).expect("there is room for temporary files");
        let log = File::create(folder.join("log")).expect("there is room for temporary files");
        let mut command = Command::new(tool);
        match tool {
            "nginx" => command.args(["-e", "stderr", "-p"]).arg(&folder).arg("-c"),
            _ => command.args(["-db", "-f"]),
        };
        command.arg(&file).current_dir(&folder);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(log);
        if geteuid().is_root() {
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            chown(&folder, Some(user), Some(group)).expect("root may do that");
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut front = Front {
            address,
            process: Group::spawn(&mut command),
            folder,
            _port: port,
        };
        wait_for(&format!("{tool} to listen"), || {
            let ended = front.process.0.try_wait().expect("it is our child");
            assert!(ended.is_none(), "{tool} has ended: {}", front.log());
            TcpStream::connect(address).ok()
        });
        Some(front)
    }

    fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// The answer to a request that asks to close the connection.
    fn ask(&self, request: &str) -> Answer {
        let (bytes, end) = self.connect().exchange(last(request).as_bytes());
        assert!(!bytes.is_empty(), "no answer to {request:.60}: {end:?}");
        let mut bytes = &bytes[..];
        let answer = next(&mut bytes, request.starts_with("HEAD "));
        assert_eq!(bytes, b"", "behind the answer to {request:.60}");
        answer
    }

    /// What it has complained of so far.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let sent = kill(Pid::from_raw(self.process.0.id() as i32), signal);
        sent.expect("it is our child, and not reaped");
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // Before its folder goes, or it would write into that.
        let _ = self.process.0.kill();
        let _ = self.process.0.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A line of what `echoapp` has seen: `REMOTE_PORT=` and what stands behind it.
fn seen(answer: &Answer, name: &str) -> Option<String> {
    let environ = answer.body.split(|byte| *byte == b'\n');
    let mut environ = environ.take_while(|line| !line.is_empty());
    let start = format!("{name}=");
    let line = environ.find(|line| line.starts_with(start.as_bytes()))?;
    Some(String::from_utf8_lossy(&line[start.len()..]).into_owned())
}

/// The requests that carry this body, with a length and in chunks.
fn uploads(path: &str, body: &str) -> [String; 2] {
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\n");
    let mut chunks = String::with_capacity(body.len() + body.len() / 50);
    for chunk in body.as_bytes().chunks(100_000) {
        chunks += &format!("{:x}\r\n", chunk.len());
        chunks += std::str::from_utf8(chunk).expect("it is ASCII");
        chunks += "\r\n";
    }
    [
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"),
    ]
}

/// Numbers, so that what is missing, or stands there twice, is seen.
fn large_body() -> String {
    let mut body = String::with_capacity(LARGE + 8);
    for number in 0..LARGE / 8 {
        body += &format!("{number:08}");
    }
    body
}

/// Whether the proxy has all of it before it asks, or passes it on as it comes, and whether
/// its length is known.
#[test]
fn uploads_arrive_unchanged_through_a_proxy() {
    let server = Server::start("webserver4d echoapp:app");
    let body = large_body();
    beside_each_other(&FRONTS, |tool| {
        let Some(front) = Front::start(tool, &[("ECHO", &server)]) else {
            return;
        };
        for path in ["/first", "/passed-on/"] {
            for (request, length_is_known) in uploads(path, &body).iter().zip([true, false]) {
                let answer = front.ask(request);
                assert_eq!(answer.status(), "200 OK", "{tool}: {path}");
                assert!(answer.whole, "{tool}: {path}");
                assert!(answer.body.ends_with(body.as_bytes()), "{tool}: {path}");
                let environ = answer.body.len() - body.len();
                assert!(answer.body[..environ].ends_with(b"\n\n"), "{tool}: {path}");
                // nginx, who has all of it, knows its length.
                let known = length_is_known || (*tool, path) == ("nginx", "/first");
                let length = seen(&answer, "CONTENT_LENGTH");
                assert_eq!(
                    length,
                    known.then(|| body.len().to_string()),
                    "{tool}: {path}"
                );
            }
        }
    });
    assert_eq!(server.errors(), "");
}

/// Also where the proxy is still sending what is refused.
#[test]
fn a_refusal_reaches_the_client_through_a_proxy() {
    let server =
        Server::start("webserver4d echoapp:app --max-body 1M --max-line 100 --body-timeout 300ms");
    let body = large_body();
    beside_each_other(&FRONTS, |tool| {
        let Some(front) = Front::start(tool, &[("STRICT", &server)]) else {
            return;
        };
        for path in ["/strict/", "/passed-on/strict/"] {
            for request in uploads(path, &body) {
                let answer = front.ask(&request);
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                let wanted = "413 Content Too Large";
                assert_eq!(answer.status(), wanted, "{tool}: {path}: {}", front.log());
                assert!(answer.whole && text.starts_with(wanted), "{tool}: {text}");
            }
        }
        let too_long = get(&format!("/strict/{}", "x".repeat(200)));
        assert_eq!(front.ask(&too_long).status(), "414 URI Too Long", "{tool}");

        let half = "POST /passed-on/strict/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345";
        let mut client = front.connect();
        let answer = read_answer(client.send(half));
        assert_eq!(answer.status(), "408 Request Timeout", "{tool}");
        // The server has lost nothing by it.
        let answer = front.ask(&get("/strict/"));
        assert_eq!(answer.status(), "200 OK", "{tool}");
        assert!(!front.log().contains("[error]"), "{}", front.log());
    });
}

/// The port from which each request came tells its connection.
#[test]
fn a_proxy_asks_again_over_the_connections_that_it_has() {
    let server = Server::start("webserver4d echoapp:app");
    beside_each_other(&FRONTS, |tool| {
        let Some(front) = Front::start(tool, &[("ECHO", &server)]) else {
            return;
        };
        let ports = |path: &str, number: usize| -> BTreeSet<String> {
            let mut client = front.connect();
            let ports = (0..number).map(|round| {
                // What has no body ends as well.
                if round % 10 == 0 {
                    client.send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
                    let head = client.read_until("\r\n\r\n");
                    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
                }
                let answer = match round % 2 {
                    0 => read_answer(client.send(get(path))),
                    _ => front.ask(&get(path)), // another client
                };
                assert_eq!(answer.status(), "200 OK", "{tool}: {path}");
                let port = seen(&answer, "REMOTE_PORT");
                port.expect("echoapp tells it")
            });
            ports.collect()
        };
        assert_eq!(ports("/", 100).len(), 1, "{tool}");
        if *tool == "nginx" {
            assert_eq!(ports("/old/", 20).len(), 1); // HTTP/1.0, kept
                                                     // What it does by default: a connection for each. The first may be a kept one.
            assert_eq!(ports("/default/", 20).len(), 20);
        }

        // Eight clients at once need no more than eight.
        let mut clients: Vec<Client> = (0..8).map(|_| front.connect()).collect();
        let mut ports = BTreeSet::new();
        for _ in 0..10 {
            for client in &mut clients {
                client.send(get("/"));
            }
            for client in &mut clients {
                ports.extend(seen(&read_answer(client), "REMOTE_PORT"));
            }
        }
        assert!(ports.len() <= 8 + 1, "{tool}: {ports:?}");
    });
    assert_eq!(server.errors(), "");
}

/// The proxy sees that, unless it asks in the same moment. That moment is made here: the
/// proxy is stopped until the server's time is up, and has a request to pass on by then.
/// It passes it on once more, if that can do no harm.
#[test]
fn a_kept_connection_that_the_server_closes_costs_no_answer() {
    beside_each_other(&FRONTS, |tool| {
        let server = Server::start("webserver4d echoapp:app --keep-alive 100ms");
        let Some(front) = Front::start(tool, &[("ECHO", &server)]) else {
            return;
        };
        let before = server.descriptors();
        let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345";
        let all_have_left = || {
            wait_for("the end of the kept connection", || {
                (server.descriptors() == before).then_some(())
            });
        };
        let mut client = front.connect();
        for request in [&get("/"), post, &get("/"), post] {
            let answer = read_answer(client.send(request));
            assert_eq!(answer.status(), "200 OK", "{tool}: {}", front.log());
            all_have_left();
        }
        let mut ports = BTreeSet::new();
        let answer = read_answer(client.send(get("/")));
        ports.extend(seen(&answer, "REMOTE_PORT"));
        front.signal(Signal::SIGSTOP);
        client.send(get("/"));
        all_have_left();
        front.signal(Signal::SIGCONT);
        let answer = read_answer(&mut client);
        assert_eq!(answer.status(), "200 OK", "{tool}: {}", front.log());
        ports.extend(seen(&answer, "REMOTE_PORT"));
        assert_eq!(ports.len(), 2, "{tool}: it was not closed");

        // Nobody knows whether the server has done what it was asked for.
        if *tool == "nginx" {
            all_have_left();
            read_answer(client.send(get("/")));
            front.signal(Signal::SIGSTOP);
            client.send(post);
            all_have_left();
            front.signal(Signal::SIGCONT);
            let answer = read_answer(&mut client);
            assert_eq!(answer.status(), "502 Bad Gateway", "{}", front.log());
        }
    });
}

/// A proxy passes on what comes as it comes, and does not make a whole of a half.
#[test]
fn chunks_pass_through_a_proxy_and_half_an_answer_stays_half() {
    let stream = Server::start("webserver4d streamapp:app");
    let fail = Server::start("webserver4d failapp:late");
    beside_each_other(&FRONTS, |tool| {
        let servers = [("STREAM", &stream), ("FAIL", &fail)];
        let Some(front) = Front::start(tool, &servers) else {
            return;
        };
        let mut client = front.connect();
        for _ in 0..2 {
            let answer = read_answer(client.send(get("/stream/")));
            let wanted = (&b"1\n2\n3\n4\n5\n"[..], true);
            assert_eq!((&answer.body[..], answer.whole), wanted, "{tool}");
        }
        let (bytes, end) = client.send(get("/fail/")).read_to_end();
        let answer = next(&mut &bytes[..], false);
        let wanted = (&b"All is w"[..], false);
        assert_eq!((&answer.body[..], answer.whole), wanted, "{tool}");
        assert_eq!(end, End::Closed, "{tool}");
    });
}

/// nginx tells a client itself to go on, and HAProxy leaves that to the server.
#[test]
fn who_waits_to_send_a_body_is_told_to_through_a_proxy() {
    let server = Server::start("webserver4d echoapp:app");
    beside_each_other(&FRONTS, |tool| {
        let Some(front) = Front::start(tool, &[("ECHO", &server)]) else {
            return;
        };
        let head = "POST /passed-on/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                    Content-Length: 5\r\n\r\n";
        let mut client = front.connect();
        for _ in 0..2 {
            let told = client.send(head).read_until("\r\n\r\n");
            assert!(
                told.starts_with("HTTP/1.1 100 Continue\r\n"),
                "{tool}: {told}"
            );
            let answer = read_answer(client.send("12345"));
            assert!(answer.body.ends_with(b"\n\n12345"), "{tool}");
            let expects = seen(&answer, "HTTP_EXPECT").is_some();
            assert_eq!(expects, *tool == "haproxy");
        }
    });
}

/// Told to stop, the server answers the request that is on its way, and the proxy has
/// nothing to apologize for.
#[test]
fn a_server_that_stops_answers_who_asks_through_a_proxy() {
    beside_each_other(&FRONTS, |tool| {
        let mut server = Server::start("webserver4d echoapp:app");
        let before = server.descriptors();
        let Some(front) = Front::start(tool, &[("ECHO", &server)]) else {
            return;
        };
        let mut client = front.connect();
        client.send("POST /passed-on/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345");
        wait_for("the half of the request", || {
            (server.descriptors() > before).then_some(())
        });
        server.wait_until_idle();
        server.signal(Signal::SIGTERM);
        wait_for("the end of the listener", || {
            TcpStream::connect(server.address).is_err().then_some(())
        });
        let answer = read_answer(client.send("67890"));
        assert_eq!(answer.status(), "200 OK", "{tool}: {}", front.log());
        assert!(answer.body.ends_with(b"\n\n1234567890"), "{tool}");
        let status = wait_for("the end of the server", || server.ended());
        assert_eq!(status.signal(), Some(Signal::SIGTERM as i32), "{tool}");
        assert_eq!(server.errors(), "", "{tool}");
    });
}

/// On each of two connections sixteen at a time, for a second.
#[test]
fn wrk_has_its_answers_in_order() {
    if !has_tool("wrk") {
        return left_out("what comes to sixteen requests at a time", "wrk");
    }
    let server = Server::start("webserver4d echoapp:app");
    let script = book::root().join("tests/fronts/order.lua");
    let mut wrk = Command::new("wrk");
    wrk.args(["-t2", "-c2", "-d1s", "--timeout", "60s", "-s"])
        .arg(script);
    wrk.arg(format!("http://{}", server.address));
    let (code, output, errors) = run_to_end(&mut wrk);
    assert_eq!((code, &errors[..]), (Some(0), ""), "{output}");
    let answered = output
        .lines()
        .filter_map(|line| line.strip_prefix("answered "));
    let answered: Vec<u32> = answered
        .map(|line| {
            let number = line.strip_suffix(", wrong 0");
            let number = number.unwrap_or_else(|| panic!("{output}"));
            number.parse().expect("it is a number")
        })
        .collect();
    assert_eq!(answered.len(), 2, "{output}");
    assert!(answered.iter().all(|number| *number >= 32), "{output}");
    assert!(output.contains("\nerrors 0\n"), "{output}");
}

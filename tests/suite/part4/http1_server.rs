//! All of HTTP/1.1 on one thread: webserver4d.

use super::readiness::{status, wait_for_sleep_without_end, Silent};
use super::{ECHOED, HALF, REST};
use nix::sys::signal::Signal;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};
use tests::client::{get, last, Client, End};
use tests::server::{Server, Setup};
use tests::{beside_each_other, has_tool, left_out, wait_for};

const HELLO: &str = "Hello world from a simple WSGI application!\n";

/// One answer of those that came over a connection.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) head: String,
    /// Without what stands between chunks.
    pub(crate) body: Vec<u8>,
    /// Whether its end has come.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn status(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.strip_prefix("HTTP/1.1 ").unwrap_or(line)
    }

    pub(crate) fn has(&self, line: &str) -> bool {
        self.head.lines().any(|one| one == line)
    }
}

/// The answer at the beginning of these bytes, which go on behind it.
pub(crate) fn next(bytes: &mut &[u8], to_head: bool) -> Answer {
    let blank = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = blank.map_or(bytes.len(), |blank| blank + 4);
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    assert!(head.starts_with("HTTP/1.1 "), "{head}");
    *bytes = &bytes[end..];
    let mut answer = Answer {
        head,
        body: Vec::new(),
        whole: false,
    };
    let head = answer.head.to_ascii_lowercase();
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    let mut take = |size: usize, to: &mut Vec<u8>| {
        let there = size.min(bytes.len());
        to.extend_from_slice(&bytes[..there]);
        *bytes = &bytes[there..];
        there == size
    };
    if to_head || matches!(&answer.head[9..12], "100" | "204" | "304") {
        answer.whole = true;
    } else if head.contains("\ntransfer-encoding: chunked\r") {
        answer.whole = loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") && take(1, &mut line) {}
            let Ok(size) = usize::from_str_radix(String::from_utf8_lossy(&line).trim_end(), 16)
            else {
                break false;
            };
            let mut end = Vec::new();
            if !(take(size, &mut answer.body) && take(2, &mut end)) {
                break false;
            }
            assert_eq!(end, b"\r\n");
            if size == 0 {
                break true;
            }
        };
    } else if let Some(length) = length {
        answer.whole = take(length.parse().expect("it is a number"), &mut answer.body);
    } else {
        answer.body = std::mem::take(bytes).to_vec(); // up to the end
        answer.whole = true;
    }
    answer
}

/// All answers among these bytes, to requests of which none is `HEAD`.
fn all(mut bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        answers.push(next(&mut bytes, false));
    }
    answers
}

/// Reads one answer, whose connection stays.
pub(crate) fn read_answer(client: &mut Client) -> Answer {
    let mut bytes = Vec::new();
    loop {
        let read = client.read_some();
        bytes.extend_from_slice(&read);
        let head = bytes.windows(4).any(|four| four == b"\r\n\r\n");
        if head || read.is_empty() {
            let mut rest = &bytes[..];
            let answer = next(&mut rest, false);
            if answer.whole || read.is_empty() {
                assert_eq!(rest, b"", "behind the answer");
                return answer;
            }
        }
    }
}

fn assert_serves(server: &Server) {
    let mut client = server.connect();
    let answer = read_answer(client.send(get("/")));
    assert_eq!((answer.status(), answer.whole), ("200 OK", true));
}

/// Whatever the application and whatever the request: each with a connection of its own,
/// and all of them at once on one that is kept. (The stages of the answers' connections
/// differ, and what `echoapp` says of them.)
#[test]
fn applications_answer_through_4d_as_through_webserver2_kept_and_not() {
    let short = [
        get("/"),
        "HEAD /nothing HTTP/1.1\r\nHost: x\r\n\r\n".to_string(),
        get("/hello/J%C3%BCrgen?a=b"),
    ];
    let bodies = [
        format!(
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{}",
            "0123456789".repeat(10_000)
        ),
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\n12345\r\n3\r\n678\r\n0\r\nX: y\r\n\r\n"
            .to_string(),
        get("/stream"),
    ];
    let applications = [
        ("wsgiapp:app", true),
        ("echoapp:app", true),
        ("validator:accesslog:validator:echoapp:app", true),
        ("validator:streamapp:app", false),
        ("streamapp:late", false),
        ("streamapp:write", false),
        ("streamapp:large", false),
        ("validator:failapp:early", true),
        ("failapp:panic", true),
        ("validator:axumapp:app", true),
    ];
    let same = |answer: &Answer| {
        let varies = "date server content-length transfer-encoding connection";
        let same = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default();
            !varies.split(' ').any(|one| one.eq_ignore_ascii_case(name))
        };
        let lines = answer.head.lines().filter(same);
        let head: Vec<String> = lines.map(str::to_string).collect();
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let varies = [
            "SERVER_PORT=",
            "SERVER_SOFTWARE=",
            "REMOTE_PORT=",
            "HTTP_CONNECTION=",
        ];
        let lines = body.split_inclusive('\n');
        let lines = lines.filter(|line| !varies.iter().any(|start| line.starts_with(start)));
        (head, lines.collect::<String>(), answer.whole)
    };
    beside_each_other(&applications, |(application, bodies_too)| {
        let servers = ["webserver2", "webserver4d"];
        let [before, now] =
            servers.map(|program| Server::start(&format!("{program} {application}")));
        let more = bodies.iter().filter(|_| *bodies_too);
        let requests: Vec<&String> = short.iter().chain(more).collect();
        let mut pipelined = String::new();
        let mut wanted = Vec::new();
        for (place, request) in requests.iter().enumerate() {
            let to_head = request.starts_with("HEAD");
            let (bytes, _) = before.connect().exchange(request.as_bytes());
            let mut bytes = &bytes[..];
            wanted.push(same(&next(&mut bytes, to_head)));

            let (bytes, end) = now.connect().exchange(last(request).as_bytes());
            let mut bytes = &bytes[..];
            let answer = next(&mut bytes, to_head);
            let now = same(&answer);
            assert_eq!(
                Some(&now.0),
                wanted.last().map(|one| &one.0),
                "{application}"
            );
            assert!(Some(&now) == wanted.last(), "{application}: {request:.60}");
            assert!(answer.has("Connection: close"), "{}", answer.head);
            assert_eq!((bytes.len(), end), (0, End::Closed), "{application}");
            pipelined += &match place + 1 == requests.len() {
                true => last(request),
                false => request.to_string(),
            };
        }
        let (bytes, end) = now.connect().exchange(pipelined.as_bytes());
        let mut bytes = &bytes[..];
        for (request, wanted) in requests.iter().zip(&wanted) {
            let answer = next(&mut bytes, request.starts_with("HEAD"));
            let (head, body, whole) = same(&answer);
            assert_eq!((&head, whole), (&wanted.0, wanted.2), "{application}, kept");
            assert!(
                body == wanted.1,
                "{application}, kept: {request:.60}: {body:.300}"
            );
        }
        assert_eq!((bytes.len(), end), (0, End::Closed), "{application}");
    });
}

/// What the kernel is asked for: for a request one `recv` and one `send`, and for sixteen
/// that come at once as well.
#[test]
fn one_recv_and_one_send_for_an_answer_and_for_a_batch() {
    if !has_tool("strace") {
        return left_out("what an answer asks of the kernel", "strace");
    }
    let calls = std::env::temp_dir().join(format!("course-calls-{}", std::process::id()));
    let file = calls.to_str().expect("it is text");
    let strace = ["strace", "-qq", "-e", "signal=none", "-o", file];
    let setup = Setup::new("webserver4d echoapp:app").under(&strace);
    let server = setup.start().unwrap();
    let mut client = server.connect();
    let count = |name: &str| {
        let text = fs::read_to_string(&calls).expect("strace has made it");
        let served = text
            .lines()
            .skip_while(|line| !line.starts_with("accept4("));
        let over = served.filter(|line| line.contains(") = ")); // not one that still waits
        over.filter(|line| line.starts_with(name)).count()
    };
    for number in 1..=10 {
        let answer = read_answer(client.send(get("/one")));
        assert_eq!(answer.status(), "200 OK");
        wait_for("its calls", || (count("sendto(") >= number).then_some(()));
    }
    let all_of_them = || ["epoll_wait(", "recvfrom(", "sendto("].map(count);
    assert_eq!(all_of_them(), [10, 10, 10]);

    let batch: String = (0..16).map(|number| get(&format!("/{number}"))).collect();
    client.send(batch);
    let mut bytes = Vec::new();
    let answers = loop {
        bytes.extend(client.read_some());
        let answers = all(&bytes);
        if answers.len() == 16 && answers[15].whole {
            break answers;
        }
    };
    for (number, answer) in answers.iter().enumerate() {
        let path = format!("\nPATH_INFO=/{number}\n");
        assert!(
            String::from_utf8_lossy(&answer.body).contains(&path),
            "{number}"
        );
    }
    wait_for("its calls", || (count("sendto(") >= 11).then_some(()));
    assert_eq!(all_of_them(), [11, 11, 11]);
    // One more for the connection, and not one for the time: it is not a system call.
    for name in ["epoll_ctl(", "clock_gettime(", "poll(", "write"] {
        let wanted = usize::from(name == "epoll_ctl(");
        assert_eq!(count(name), wanted, "{name}");
    }
    drop(server);
    let _ = fs::remove_file(calls);
}

/// Also where the client has said more meanwhile, so that epoll names it in each turn. That
/// is not read before the answer is over: whoever says much would fill the memory.
#[test]
fn an_answer_that_goes_on_has_one_turn_at_a_time() {
    if !has_tool("strace") {
        return left_out("what a turn asks of the kernel", "strace");
    }
    let calls = std::env::temp_dir().join(format!("course-turns-{}", std::process::id()));
    let file = calls.to_str().expect("it is text");
    let strace = [
        "strace",
        "-qq",
        "-e",
        "epoll_wait,recvfrom,sendto",
        "-e",
        "signal=none",
        "-o",
        file,
    ];
    let setup = Setup::new("webserver4d streamapp:app").under(&strace);
    let server = setup.start().unwrap();
    let mut client = server.connect();
    let first = client.send(get("/")).read_some();
    assert!(first.ends_with(b"1\r\n1\n\r\n") || first.ends_with(b"2\r\n1\n\r\n"));
    let (rest, _) = client.send(last(&get("/"))).read_to_end();
    let answers = all(&[first, rest].concat());
    assert!(answers.iter().all(|answer| answer.whole), "{answers:?}");
    assert_eq!(answers.len(), 2);
    let text = wait_for("the end of the second answer", || {
        let text = fs::read_to_string(&calls).ok()?;
        (text.matches("sendto(").count() >= 10).then_some(text)
    });
    // Two, where it is ready for its next request in the turn in which the last one ends.
    let turns = text.split("epoll_wait(").skip(1);
    let most = turns.map(|turn| turn.matches("sendto(").count()).max();
    assert!(most <= Some(2), "{text}");
    let read: Vec<&str> = text.split("recvfrom(").skip(1).collect();
    let sent: Vec<usize> = read
        .iter()
        .map(|calls| calls.matches("sendto(").count())
        .collect();
    assert_eq!((sent.len(), sent[0] >= 5), (2, true), "{text}");
    drop(server);
    let _ = fs::remove_file(calls);
}

/// Whether it comes at once with the others, or when the first has its answer.
#[test]
fn nothing_is_answered_behind_a_malformed_request() {
    let server = Server::start("webserver4d echoapp:app");
    let post = "POST / HTTP/1.1\r\nHost: x\r\n";
    for (malformed, status) in [
        ("nonsense\r\n\r\n".to_string(), "400 Bad Request"),
        ("GET / HTTP/1.1\r\n\r\n".to_string(), "400 Bad Request"),
        (
            "GET / HTTP/2.0\r\n\r\n".to_string(),
            "505 HTTP Version Not Supported",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n".to_string(),
            "400 Bad Request",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nX: \0\r\n\r\n".to_string(),
            "400 Bad Request",
        ),
        (
            format!("{post}Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            format!("{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "400 Bad Request",
        ),
        (
            format!("{post}Transfer-Encoding: chunked\r\n\r\nx\r\n"),
            "400 Bad Request",
        ),
        (
            format!("{post}Transfer-Encoding: chunked\r\n\r\n3\r\n1234\r\n"),
            "400 Bad Request",
        ),
        (
            format!("{post}Content-Length: 2000000000\r\n\r\n"),
            "413 Content Too Large",
        ),
        (
            format!("GET /{} HTTP/1.1\r\n", "x".repeat(9_000)),
            "414 URI Too Long",
        ),
    ] {
        let behind = get("/behind");
        let at_once = [&get("/first")[..], &malformed, &behind].concat();
        let (at_once, end) = server.connect().exchange(at_once.as_bytes());
        assert_eq!(end, End::Closed, "{malformed:.60}");

        let mut client = server.connect();
        let first = read_answer(client.send(get("/first")));
        client.send(&malformed).try_send(&behind);
        let (then, end) = client.read_to_end();
        assert_eq!(end, End::Closed, "{malformed:.60}");
        let mut one_by_one = vec![first];
        one_by_one.extend(all(&then));
        for answers in [all(&at_once), one_by_one] {
            let statuses: Vec<&str> = answers.iter().map(Answer::status).collect();
            assert_eq!(statuses, ["200 OK", status], "{malformed:.60}");
            assert!(!answers[0].has("Connection: close"), "{malformed:.60}");
            assert!(answers[1].has("Connection: close"), "{malformed:.60}");
        }
    }
    assert_serves(&server);
}

/// In chunks, where the length is not known: then half of it is seen to be half.
#[test]
fn half_an_answer_is_no_answer() {
    let mut server = Server::start("webserver4d failapp:late");
    let (bytes, end) = server.connect().exchange((get("/") + &get("/")).as_bytes());
    let answers = all(&bytes);
    assert_eq!(answers.len(), 1, "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(
        (&answers[0].body[..], answers[0].whole),
        (&b"All is w"[..], false)
    );
    assert_eq!(end, End::Closed);
    assert!(server.is_running());
    if !has_tool("curl") {
        return left_out("what curl makes of half an answer", "curl");
    }
    let mut curl = Command::new("curl");
    let curl = curl
        .args(["-s", &format!("http://{}/", server.address)])
        .output();
    let curl = curl.expect("it is there");
    assert_eq!(curl.stdout, b"All is w");
    assert_eq!(curl.status.code(), Some(18)); // partial file
}

#[test]
fn http_1_0_is_kept_where_it_asks_for_that() {
    let keep = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let close = "GET / HTTP/1.0\r\n\r\n";
    let server = Server::start("webserver4d wsgiapp:app");
    let mut client = server.connect();
    for _ in 0..2 {
        let answer = read_answer(client.send(keep));
        assert!(answer.has("Connection: keep-alive"), "{}", answer.head);
        assert_eq!(answer.body, HELLO.as_bytes());
    }
    let (bytes, end) = client.send(close).read_to_end();
    assert!(all(&bytes)[0].has("Connection: close"));
    assert_eq!(end, End::Closed);

    // Where the length is not known, only the end of the connection tells it.
    let server = Server::start("webserver4d streamapp:app");
    let (bytes, end) = server.connect().exchange(keep.as_bytes());
    let answers = all(&bytes);
    assert!(answers[0].has("Connection: close"));
    assert_eq!(
        (&answers[0].body[..], end),
        (&b"1\n2\n3\n4\n5\n"[..], End::Closed)
    );
}

/// And who has sent it already is not told.
#[test]
fn who_waits_to_send_a_body_is_told_to_in_each_request() {
    let server = Server::start("webserver4d echoapp:app");
    let head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let mut client = server.connect();
    for _ in 0..2 {
        let told = client.send(head).read_some();
        assert_eq!(told, b"HTTP/1.1 100 Continue\r\n\r\n");
        let answer = read_answer(client.send("12345"));
        assert!(answer.body.ends_with(b"\n\n12345"));
    }
    let answer = read_answer(client.send([head, "12345"].concat()));
    assert_eq!(answer.status(), "200 OK");
    // What is too long is not asked for.
    let (bytes, _) = client
        .send(head.replace(": 5", ": 2000000000"))
        .read_to_end();
    let statuses: Vec<Answer> = all(&bytes);
    assert_eq!(statuses[0].status(), "413 Content Too Large");
    assert_eq!(statuses.len(), 1);
}

/// Most of it has not been sent when it is refused, and the rest is thrown away.
#[test]
fn an_upload_that_is_refused_early_costs_no_answer() {
    let server = Server::start("webserver4d wsgiapp:app --max-body 1M");
    let head = "POST / HTTP/1.1\r\nHost: x\r\n";
    let body = "x".repeat(5_000_000);
    for framing in [
        format!("Content-Length: {}\r\n\r\n{body}", body.len()),
        format!(
            "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}",
            body.len()
        ),
    ] {
        let mut client = server.connect();
        let (bytes, end) = client.exchange([head, &framing].concat().as_bytes());
        let answers = all(&bytes);
        assert_eq!(answers[0].status(), "413 Content Too Large");
        assert_eq!(
            (answers.len(), answers[0].whole, end),
            (1, true, End::Closed)
        );
    }
}

/// Those who dribble a head or a body, those who dribble the reading of an answer, and
/// those who have had one and say nothing: each is cut at its time, and others are served
/// all the while.
#[test]
fn dribblers_are_cut_at_their_deadlines() {
    const TIME: Duration = Duration::from_millis(1500);
    let times = [
        "--head-timeout",
        "--body-timeout",
        "--send-timeout",
        "--keep-alive",
    ];
    let times: Vec<String> = times
        .iter()
        .map(|name| format!("{name} {TIME:?}"))
        .collect();
    let words = format!("webserver4d streamapp:large --pace 1G {}", times.join(" "));
    let server = Server::start(&words.replace("1.5s", "1500ms"));
    let begun = Instant::now();
    let begin = |what: &str| -> Vec<TcpStream> {
        let clients = (0..10).map(|_| {
            let mut client = TcpStream::connect(server.address).expect("it listens");
            client.write_all(what.as_bytes()).expect("it is there");
            client
                .set_nonblocking(true)
                .expect("every socket takes this flag");
            client
        });
        clients.collect()
    };
    let mut heads = begin("GET / HTTP/1.1\r\nX: ");
    let mut bodies = begin("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    // More than the kernel takes for them.
    let mut readers = begin(&get("/").repeat(20));
    let mut silent = begin("GET / HTTP/1.1\r\nHost: x\r\nConnection: x\r\n\r\n");
    let mut came = vec![Vec::new(); 20];
    let mut read = vec![0; 10];
    let mut gone = vec![false; 40];
    let mut served = 0;
    wait_for("the end of all of them", || {
        for (place, client) in heads.iter_mut().chain(&mut bodies).enumerate() {
            let _ = client.write(b"x");
            let mut some = [0; 1000];
            match client.read(&mut some) {
                Ok(0) => gone[place] = true,
                Ok(size) => came[place].extend_from_slice(&some[..size]),
                Err(error) => gone[place] |= error.kind() != ErrorKind::WouldBlock,
            }
        }
        for (place, client) in readers.iter_mut().enumerate() {
            match client.read(&mut [0; 5_000]) {
                Ok(0) => gone[20 + place] = true,
                Ok(size) => read[place] += size,
                Err(error) => gone[20 + place] |= error.kind() != ErrorKind::WouldBlock,
            }
        }
        for (place, client) in silent.iter_mut().enumerate() {
            // They read all of their answer, and then there is no other.
            while let Ok(size) = client.read(&mut [0; 65536]) {
                gone[30 + place] |= size == 0;
                if size == 0 {
                    break;
                }
            }
        }
        let (bytes, _) = server.connect().exchange(last(&get("/")).as_bytes());
        assert!(all(&bytes)[0].whole, "somebody else was not served");
        served += 1;
        if begun.elapsed() < TIME {
            assert_eq!(came.concat(), b"", "before its time");
            assert!(gone.iter().all(|gone| !gone), "before its time: {gone:?}");
        }
        gone.iter().all(|gone| *gone).then_some(())
    });
    assert!(served > 1);
    for bytes in came {
        // A reset may have cost the answer: the client did not stop.
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 408 "),
            "{text}"
        );
    }
    assert!(read.iter().all(|size| *size < 20_000_000), "{read:?}");
    wait_for_sleep_without_end(&server); // nobody's time will be up any more
}

/// Two are answered in turn, each by an application that takes its time and lets the loop
/// do nothing else: that is not the clients' time.
#[test]
fn who_had_to_wait_for_another_is_not_late() {
    let server = Server::start("webserver4d streamapp:write --keep-alive 350ms");
    let mut clients = [server.connect(), server.connect()];
    for client in &mut clients {
        client.send(get("/"));
    }
    for _ in 0..2 {
        for client in &mut clients {
            let answer = read_answer(client);
            assert_eq!((answer.status(), answer.whole), ("200 OK", true));
            client.send(get("/"));
        }
    }
}

/// Whoever has said nothing is let go, and whoever is in the middle of a request learns
/// with its answer that there is no other.
#[test]
fn the_last_answer_before_the_end_says_so() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = Server::start("webserver4d validator:echoapp:app");
        // In this order they are told: when the others have seen it, the first has.
        let mut half = server.connect();
        let answer = read_answer(half.send(get("/")));
        assert_eq!(answer.status(), "200 OK");
        half.send(HALF);
        let (mut silent, mut kept) = (server.connect(), server.connect());
        let answer = read_answer(kept.send(get("/")));
        assert!(!answer.has("Connection: close"));
        server.wait_until_idle();
        server.signal(signal);
        assert_eq!(silent.read_to_end(), (Vec::new(), End::Closed));
        assert_eq!(kept.read_to_end(), (Vec::new(), End::Closed));
        assert!(Client::try_connect(server.address).is_err());
        assert!(server.is_running());
        let (bytes, end) = half.send(REST).try_send(get("/")).read_to_end();
        let answers = all(&bytes);
        assert!(answers[0].body.ends_with(ECHOED));
        assert!(answers[0].has("Connection: close"), "{}", answers[0].head);
        assert_eq!((answers.len(), end), (1, End::Closed));
        drop((silent, kept, half));
        let status = wait_for("its end", || server.ended());
        assert_eq!(status.signal(), Some(signal as i32));
        assert_eq!(server.errors(), "");
    }
}

/// After the time, at the second signal, and at QUIT.
#[test]
fn nobody_keeps_4d_from_ending() {
    for (patience, signals, told) in [
        ("300ms", vec![Signal::SIGTERM], Signal::SIGTERM),
        ("1h", vec![Signal::SIGINT, Signal::SIGTERM], Signal::SIGINT),
        ("1h", vec![Signal::SIGQUIT], Signal::SIGQUIT),
    ] {
        let words = format!("webserver4d echoapp:app --graceful-timeout {patience}");
        let mut server = Server::start(&words);
        let (mut silent, mut half) = (server.connect(), server.connect());
        half.send(HALF);
        server.wait_until_idle();
        for signal in signals {
            server.signal(signal);
            silent.read_to_end(); // it has seen the first
        }
        let status = wait_for("its end", || server.ended());
        match told {
            Signal::SIGQUIT => assert_eq!(status.code(), Some(128 + told as i32)),
            _ => assert_eq!(status.signal(), Some(told as i32)),
        }
        assert_eq!(half.read_to_end().0, b"");
    }
}

/// A thousand that have said nothing, and a hundred that have had an answer, cost little
/// and no call, and no time runs that is not theirs.
#[test]
fn silent_clients_cost_less_than_a_kilobyte() {
    let server = Server::start("webserver4d echoapp:app --head-timeout 1h --keep-alive 1h");
    // In two pieces, so that the first has to be kept; and the answer is as long.
    let half = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(10_000));
    let ask = |clients: &mut [Client]| {
        clients.iter_mut().for_each(|client| _ = client.send(&half));
        server.wait_until_idle();
        for client in clients {
            assert_eq!(read_answer(client.send("\r\n\r\n")).status(), "200 OK");
        }
    };
    let mut kept: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    ask(&mut kept[..10]);
    server.wait_until_idle();
    let before = status(&server, "VmRSS");
    let silent = Silent::connect(&server, 1_000);
    kept.chunks_mut(10).for_each(ask);
    wait_for("all of them", || {
        (server.descriptors() >= 1_100).then_some(())
    });
    assert!(server.comes_to_rest(), "it runs, although nobody asks");
    let after = status(&server, "VmRSS");
    assert!(after - before <= 1_100 + 200, "{before} to {after} kB");
    assert_eq!(status(&server, "Threads"), 1);
    assert_serves(&server);
    assert_eq!(server.errors(), "");
    server.signal(Signal::SIGKILL); // first: it would look at each of them as it leaves
    drop(silent);
}

/// Who asks and asks, and reads nothing, is not read from any more.
#[test]
fn a_client_that_asks_and_never_reads_costs_no_memory() {
    let server = Server::start("webserver4d wsgiapp:app --send-timeout 1h");
    assert_serves(&server);
    let before = status(&server, "VmRSS");
    let mut client = TcpStream::connect(server.address).expect("it listens");
    client
        .set_nonblocking(true)
        .expect("every socket takes this flag");
    let requests = get("/").repeat(1_000);
    let mut sent = 0;
    wait_for("a server that takes no more", || {
        while let Ok(size) = client.write(&requests.as_bytes()[sent % requests.len()..]) {
            sent += size;
        }
        let rests = server.comes_to_rest();
        let more = client.write(&requests.as_bytes()[sent % requests.len()..]);
        sent += *more.as_ref().unwrap_or(&0);
        (rests && more.is_err()).then_some(())
    });
    let after = status(&server, "VmRSS");
    assert!(
        after - before < 2_000,
        "{before} to {after} kB for {sent} bytes"
    );
    assert_serves(&server);

    // It has lost nothing.
    client
        .set_nonblocking(false)
        .expect("every socket takes this flag");
    let left = requests.len() - sent % requests.len();
    let rest = last(&get("/"));
    let rest = [
        &requests.as_bytes()[requests.len() - left..],
        rest.as_bytes(),
    ]
    .concat();
    let mut writer = client.try_clone().expect("there are descriptors enough");
    let bytes = std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(&rest));
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = bytes.expect("the server closes it");
    let number = (sent + left) / get("/").len() + 1;
    let answers = String::from_utf8_lossy(&bytes).matches(HELLO).count();
    assert_eq!(answers, number);
}

/// With a dozen descriptors for clients, of whom thirty come. All are served as soon as
/// somebody leaves.
#[test]
fn without_a_descriptor_4d_stops_accepting_and_ends_nobody() {
    let server = Setup::new("webserver4d wsgiapp:app").most_descriptors(20);
    let server = server.start().unwrap();
    let mut clients: Vec<Client> = (0..30).map(|_| server.connect()).collect();
    wait_for("the complaint", || {
        let complains = server.errors().contains("accept: Too many open files");
        complains.then_some(())
    });
    assert!(
        server.comes_to_rest(),
        "it runs, although it has no descriptor"
    );
    assert_eq!(server.errors_when_idle().lines().count(), 1);
    let first = read_answer(clients[0].send(get("/")));
    assert_eq!(first.status(), "200 OK");
    for client in &mut clients {
        let (bytes, end) = client.send(last(&get("/"))).read_to_end();
        assert_eq!(all(&bytes)[0].status(), "200 OK");
        assert_eq!(end, End::Closed);
    }
    assert_serves(&server);
}

/// Nobody waits for a deadline where the client has closed its side.
#[test]
fn who_closes_its_side_is_answered_and_let_go() {
    let times = "--head-timeout 1h --body-timeout 1h --keep-alive 1h --linger 1h";
    for application in ["echoapp:app", "streamapp:large"] {
        let server = Server::start(&format!("webserver4d {application} {times}"));
        let before = server.descriptors();
        let two = get("/").repeat(2);
        for (said, wanted) in [
            ("", &[][..]),
            ("GET / HT", &["400 Bad Request"]),
            (HALF, &["400 Bad Request"]),
            (&get("/"), &["200 OK"]),
            (&two, &["200 OK", "200 OK"]),
            (
                &[&two, HALF].concat(),
                &["200 OK", "200 OK", "400 Bad Request"],
            ),
        ] {
            let mut client = server.connect();
            let (bytes, end) = client.send(said).finish().read_to_end();
            let answers = all(&bytes);
            let statuses: Vec<&str> = answers.iter().map(Answer::status).collect();
            assert_eq!((&statuses[..], end), (wanted, End::Closed), "{said:?}");
            assert!(answers.iter().all(|answer| answer.whole), "{said:?}");
        }
        // And behind an answer that it has.
        let mut kept = server.connect();
        assert_eq!(read_answer(kept.send(get("/"))).status(), "200 OK");
        assert_eq!(kept.finish().read_to_end(), (Vec::new(), End::Closed));
        wait_for("the end of all of them", || {
            (server.descriptors() == before).then_some(())
        });
    }
}

/// Resets at every place of a conversation, and bytes that are no request. Whoever comes
/// next is sent what is for them, and nothing else.
#[test]
fn nothing_that_a_client_sends_ends_4d() {
    let mut server = Server::start("webserver4d echoapp:app --linger 100ms");
    let before = server.descriptors();
    let request = "POST /gone HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\n12345\r\n0\r\n\r\n";
    let twice = request.repeat(2);
    for end in (0..twice.len()).step_by(5) {
        let mut client = server.connect();
        client.send(&twice[..end]);
        if end % 2 == 0 {
            client.reset();
        }
        let mut next = server.connect();
        let answer = read_answer(next.send(get("/next")));
        assert!(String::from_utf8_lossy(&answer.body).contains("\nPATH_INFO=/next\n"));
    }
    let mut odd: u32 = 1;
    for size in [1, 10, 100, 1_000, 100_000] {
        let noise: Vec<u8> = (0..size)
            .map(|_| {
                odd = odd.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (odd >> 24) as u8
            })
            .collect();
        let mut client = server.connect();
        client.try_send(&noise).finish().read_to_end();
    }
    wait_for("the end of all of them", || {
        (server.descriptors() == before).then_some(())
    });
    assert_serves(&server);
    assert!(server.is_running());
}

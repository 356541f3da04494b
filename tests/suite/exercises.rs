//! The exercises: each test fails on the program that the exercise starts from
//! and passes on its solution. To try your own:
//!
//! ```sh
//! PROGRAM=/path/to/your/program cargo test --test suite exercises::NAME
//! ```
//!
//! `PROGRAM` may also be the name of a program of the course, and either may be
//! followed by arguments: `PROGRAM="webserver2 streamapp:large"`.

use flate2::write::GzDecoder;
use nix::sys::signal::Signal;
use std::io::Write;
use std::net::TcpListener;
use tests::answer::Answer;
use tests::client::{get, Client, End};
use tests::experiments::END;
use tests::processes::Process;
use tests::server::Server;

/// Says what is wrong with a program, named or by its path.
type Check = fn(&str) -> Result<(), String>;

/// Runs the check of an exercise on `PROGRAM`; without one, on the program it
/// starts from, where it must fail, and on the solution, where it must not.
fn exercise(start: &str, solution: &str, check: Check) {
    if let Ok(program) = std::env::var("PROGRAM") {
        let result = check(&program);
        result.unwrap_or_else(|error| panic!("{program}: {error}"));
        return;
    }
    assert!(check(start).is_err(), "{start} needs no repair");
    let result = check(solution);
    result.unwrap_or_else(|error| panic!("{solution}: {error}"));
}

fn serve(program: &str) -> Result<Server, String> {
    Server::try_start(program, "127.0.0.1:0")
}

fn ensure(holds: bool, error: impl Into<String>) -> Result<(), String> {
    match holds {
        true => Ok(()),
        false => Err(error.into()),
    }
}

fn answer(server: &Server, path: &str) -> Result<String, String> {
    let (answer, end) = server.connect().ask(&get(path));
    ensure(
        end == End::Closed,
        format!("the connection ended with {end:?}"),
    )?;
    Ok(answer)
}

#[test]
fn echo_path() {
    exercise("webserver1", "echo_path", |program| {
        let server = &serve(program)?;
        for path in ["/hello", "/a/b?c=d"] {
            let answer = answer(server, path)?;
            let wanted = format!("Hello, {path}!");
            let found = answer.contains(&wanted);
            ensure(
                found,
                format!("asked for {path}, wanted `{wanted}`, got {answer:?}"),
            )?;
        }
        // A request of one word must not hurt it.
        let (answer, _) = server.connect().ask("GET\r\n\r\n");
        ensure(
            answer.starts_with("HTTP/1.1 "),
            format!("one word got {answer:?}"),
        )
    });
}

#[test]
fn count_visitors() {
    exercise("webserver1", "count_visitors", |program| {
        let server = &serve(program)?;
        for visitor in 1..=3 {
            let answer = answer(server, "/")?;
            let wanted = format!("Hello, visitor {visitor}!");
            let found = answer.contains(&wanted);
            ensure(found, format!("wanted `{wanted}`, got {answer:?}"))?;
        }
        Ok(())
    });
}

#[test]
fn not_found() {
    exercise("webserver1", "not_found", |program| {
        let server = &serve(program)?;
        let hello = answer(server, "/hello")?;
        ensure(
            hello.starts_with("HTTP/1.1 200 OK"),
            format!("/hello got {hello:?}"),
        )?;
        for path in ["/", "/hell", "/hello/", "/favicon.ico"] {
            let other = answer(server, path)?;
            let refused = other.starts_with("HTTP/1.1 404 Not Found");
            ensure(refused, format!("{path} got {other:?}"))?;
        }
        Ok(())
    });
}

#[test]
fn head_only() {
    exercise("smallest_answer", "head_only", |program| {
        let server = &serve(program)?;
        let whole = answer(server, "/")?;
        let (head, body) = parts(&whole)?;
        ensure(
            body == "Hello, World!\n",
            format!("GET got the body {body:?}"),
        )?;
        let request = get("/").replace("GET", "HEAD");
        let (answer, _) = server.connect().ask(&request);
        let (same, nothing) = parts(&answer)?;
        ensure(nothing.is_empty(), format!("HEAD got the body {nothing:?}"))?;
        ensure(
            same == head,
            format!("GET got the head {head:?}, HEAD {same:?}"),
        )
    });
}

/// The head and the body of an answer.
fn parts(answer: &str) -> Result<(&str, &str), String> {
    let parts = answer.split_once("\r\n\r\n");
    parts.ok_or_else(|| format!("no empty line ends the head: {answer:?}"))
}

#[test]
fn four_numbers() {
    exercise("webserver1", "four_numbers", |program| {
        let server = &serve(program)?;
        let mut client = server.connect();
        let wanted = format!("{} -> {}", client.address(), server.address);
        client.ask(&get("/"));
        let printed = server.prints(&wanted);
        let output = server.output();
        ensure(
            printed,
            format!("wanted `{wanted}` in the output:\n{output}"),
        )
    });
}

#[test]
fn next_port() {
    exercise("webserver1", "next_port", |program| {
        let busy = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let taken = busy.local_addr().map_err(|error| error.to_string())?;
        let server = &Server::try_start(program, &taken.to_string())?;
        let port = server.address.port();
        let next = format!("port {} is taken, and it says {port}", taken.port());
        ensure(port > taken.port(), next)?;
        let answer = answer(server, "/")?;
        ensure(
            answer.contains("Hello"),
            format!("port {port} got {answer:?}"),
        )
    });
}

#[test]
fn whole_request() {
    exercise("webserver1", "whole_request", |program| {
        let server = &serve(program)?;
        for end_of_line in ["\r\n", "\n"] {
            let mut client = server.connect();
            client.send(format!("GET / HTTP/1.1{end_of_line}Host: lo"));
            let (early, _) = client.read_soon();
            ensure(early.is_empty(), "it answers half a request")?;
            let (answer, _) = client.ask(&format!("calhost{end_of_line}{end_of_line}"));
            let answered = answer.ends_with("Hello, World!\n");
            ensure(answered, format!("the whole request got {answer:?}"))?;
        }
        let (answer, end) = server
            .connect()
            .ask(&get(&format!("/{}", "x".repeat(3000))));
        let whole = answer.ends_with("Hello, World!\n") && end == End::Closed;
        ensure(whole, format!("3,000 bytes got {answer:?} and {end:?}"))?;
        // A head without end must have one.
        let (_, end) = flood(server);
        ensure(end != End::Silent, "a head without end is read for ever")
    });
}

fn flood(server: &Server) -> (Vec<u8>, End) {
    let mut client: Client = server.connect();
    client.send("x".repeat(20_000)).read_to_end()
}

#[test]
fn patience() {
    exercise("webserver1", "patience", |program| {
        let server = &serve(program)?;
        let _silent = server.connect();
        let mut other = server.connect();
        other.send(get("/"));
        // Three times half a second.
        let answered = (0..3).any(|_| other.read_soon().0.ends_with(b"Hello, World!\n"));
        ensure(
            answered,
            "a silent client holds the server for more than a second and a half",
        )
    });
}

#[test]
fn range() {
    exercise(
        "webserver2 streamapp:large",
        "range rangeapp:app",
        |program| {
            let server = &serve(program)?;
            let ask = |method, fields: &str| Answer::to(server, method, "/", fields);
            let lines: String = (0..100_000).map(|line| format!("{line:09}\n")).collect();
            let document = lines.as_bytes();

            for (range, first, last) in [
                ("bytes=500-519", 500, 519),
                ("bytes=0-0", 0, 0),
                ("bytes=999980-", 999_980, 999_999),
                ("bytes=-10", 999_990, 999_999),
                ("bytes=-2000000", 0, 999_999),
                ("bytes=999999-99999999999999999999999", 999_999, 999_999),
                ("BYTES=1-2", 1, 2),
            ] {
                let answer = ask("GET", &format!("Range: {range}\r\n"))?;
                let status = format!("{range} wanted the status 206, and got {}", answer.code());
                ensure(answer.code() == "206", status)?;
                let wanted = Some(format!("bytes {first}-{last}/1000000"));
                let found = answer.list("Content-Range");
                let wrong = format!("{range} wanted Content-Range {wanted:?}, and got {found:?}");
                ensure(found == wanted, wrong)?;
                let right = answer.body == document[first..=last];
                ensure(
                    right,
                    format!("{range} got other bytes than {first} to {last}"),
                )?;
            }
            for range in [
                "bytes=1000000-",
                "bytes=-0",
                "bytes=99999999999999999999999-",
            ] {
                let answer = ask("GET", &format!("Range: {range}\r\n"))?;
                let status = format!("{range} wanted the status 416, and got {}", answer.code());
                ensure(answer.code() == "416", status)?;
                let found = answer.list("Content-Range");
                let size = found.as_deref() == Some("bytes */1000000");
                ensure(size, format!("{range} got the Content-Range {found:?}"))?;
            }
            for fields in [
                "",
                "Range: bytes=519-500\r\n",
                "Range: bytes=a-b\r\n",
                "Range: bytes=+1-2\r\n",
                "Range: bytes=-\r\n",
                "Range: bytes\r\n",
                "Range: lines=1-2\r\n",
                "Range: bytes=0-1,4-5\r\n",
                "Range: bytes=0-1\r\nIf-Range: \"yesterday's\"\r\n",
            ] {
                let answer = ask("GET", fields)?;
                let whole = answer.code() == "200" && answer.body == document;
                ensure(whole, format!("{fields:?} did not bring the whole"))?;
                let accepts = answer.list("Accept-Ranges");
                let says = accepts.as_deref() == Some("bytes");
                ensure(says, format!("Accept-Ranges was {accepts:?}"))?;
            }
            let head = ask("HEAD", "Range: bytes=0-1\r\n")?;
            let length = head.list("Content-Length");
            let whole = head.code() == "200" && length.as_deref() == Some("1000000");
            ensure(whole, format!("a range is for GET; HEAD got {head:?}"))
        },
    );
}

const GZIP: &str = "Accept-Encoding: gzip\r\n";

#[test]
fn compress() {
    exercise("webserver2", "compress", |program| {
        for name in ["streamapp:app", "streamapp:late", "streamapp:write"] {
            let server = &serve(&format!("{program} validator:{name}"))?;
            let answer = Answer::to(server, "GET", "/", GZIP)?;
            let text = unpack(&answer).map_err(|error| format!("{name}: {error}"))?;
            let counted = text == b"1\n2\n3\n4\n5\n";
            let text = String::from_utf8_lossy(&text);
            ensure(counted, format!("{name}: unpacked, the body was {text:?}"))?;
            // Once in three is enough: a busy machine may bring the chunks late.
            let paced = (0..3).any(|_| comes_in_pieces(server));
            ensure(paced, format!("{name}: its chunks came all at once"))?;
        }

        let server = &serve(&format!("{program} validator:streamapp:large"))?;
        for accept in ["gzip", "GZIP", "br, gzip;q=0.5", "*", "deflate, *;q=0.1"] {
            let fields = format!("Accept-Encoding: {accept}\r\n");
            let answer = Answer::to(server, "GET", "/", &fields)?;
            let text = unpack(&answer).map_err(|error| format!("{accept}: {error}"))?;
            let whole = text == vec![b'x'; 1_000_000];
            ensure(whole, format!("{accept}: unpacked, the body was another"))?;
            let sent = answer.body.len();
            ensure(sent < 10_000, format!("{accept}: {sent} bytes were sent"))?;
        }
        for accept in ["identity", "gzip;q=0", "br", "gzip;q=0, *", "gzipped"] {
            let fields = format!("Accept-Encoding: {accept}\r\n");
            let answer = Answer::to(server, "GET", "/", &fields)?;
            let plain = answer.list("Content-Encoding").is_none();
            let plain = plain && answer.body.len() == 1_000_000;
            ensure(plain, format!("{accept}: compressed all the same"))?;
            check_vary(&answer)?;
        }

        let get = Answer::to(server, "GET", "/", GZIP)?;
        let head = Answer::to(server, "HEAD", "/", GZIP)?;
        let length = head.body.len();
        ensure(length == 0, format!("HEAD got {length} bytes of body"))?;
        let same = head.list("Content-Encoding") == get.list("Content-Encoding");
        ensure(same, "HEAD and GET got different codings")?;
        let length = head.list("Content-Length");
        let same = length.is_none() || length == get.list("Content-Length");
        ensure(same, format!("HEAD got the length {length:?}, GET another"))?;

        // This one gives its own length, of what it has not compressed.
        let server = &serve(&format!("{program} validator:axumapp:app"))?;
        let answer = Answer::to(server, "GET", "/", GZIP)?;
        let text = unpack(&answer).map_err(|error| format!("axumapp:app: {error}"))?;
        let text = String::from_utf8_lossy(&text);
        let whole = text == "Hello, World!\n";
        ensure(
            whole,
            format!("axumapp:app: unpacked, the body was {text:?}"),
        )?;

        let server = &serve(&format!("{program} validator:failapp:early"))?;
        let answer = Answer::to(server, "GET", "/", GZIP)?;
        let late = answer.code() == "503" && unpack(&answer)? == b"Come back later.\n";
        ensure(late, format!("failapp:early got {}", answer.status))
    });
}

/// The body of a compressed answer.
fn unpack(answer: &Answer) -> Result<Vec<u8>, String> {
    let coding = answer.list("Content-Encoding");
    let gzip = coding.as_deref() == Some("gzip");
    let wanted = format!("wanted Content-Encoding gzip, and got {coding:?}");
    ensure(gzip, wanted)?;
    check_vary(answer)?;
    let length = answer.list("Content-Length");
    let sent = answer.body.len().to_string();
    let right = length.is_none() || length.as_ref() == Some(&sent);
    ensure(
        right,
        format!("{sent} bytes came with the length {length:?}"),
    )?;
    let mut decoder = GzDecoder::new(Vec::new());
    let read = decoder.write_all(&answer.body);
    let read = read.and_then(|()| decoder.finish());
    read.map_err(|error| format!("the body is no gzip: {error}"))
}

fn check_vary(answer: &Answer) -> Result<(), String> {
    let vary = answer.list("Vary").unwrap_or_default();
    let says = vary.to_ascii_lowercase().contains("accept-encoding");
    ensure(
        says,
        format!("wanted Vary: Accept-Encoding, and got `{vary}`"),
    )
}

/// Whether the first of five chunks can be read before the last has come.
fn comes_in_pieces(server: &Server) -> bool {
    let mut client = server.connect();
    client.send(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{GZIP}\r\n"));
    let mut answer = Vec::new();
    loop {
        let more = client.read_some();
        answer.extend_from_slice(&more);
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let body = end.map_or(&[][..], |end| &answer[end + 4..]);
        let mut decoder = GzDecoder::new(Vec::new());
        let _ = decoder.write_all(body).and_then(|()| decoder.flush());
        match decoder.get_ref().as_slice() {
            b"" if more.is_empty() => return false,
            b"" => {}
            text => return !text.contains(&b'5'),
        }
    }
}

#[test]
fn mounted() {
    exercise("webserver2", "mounted", |program| {
        let server = &serve(&format!("{program} validator:echoapp:app"))?;
        for (target, script, path, query) in [
            ("/wiki/page?x=1", "/wiki", "/page", "x=1"),
            ("/wiki/", "/wiki", "/", ""),
            ("/wiki", "/wiki", "", ""),
            ("/wiki?x", "/wiki", "", "x"),
            ("/wiki/wiki", "/wiki", "/wiki", ""),
            ("/w%69ki/%C3%A9", "/wiki", "/\u{e9}", ""),
        ] {
            let answer = Answer::to(server, "GET", target, "")?;
            let text = String::from_utf8_lossy(&answer.body);
            for (name, value) in [
                ("SCRIPT_NAME", script),
                ("PATH_INFO", path),
                ("QUERY_STRING", query),
            ] {
                let wanted = format!("{name}={value}");
                let found = text.lines().any(|line| line == wanted);
                ensure(found, format!("{target} wanted {wanted}, and got:\n{text}"))?;
            }
        }
        for target in ["/", "/wik", "/wikipedia", "/Wiki", "/a/wiki", "//wiki"] {
            let answer = Answer::to(server, "GET", target, "")?;
            let status = answer.code();
            ensure(status == "404", format!("{target} got the status {status}"))?;
        }
        let (answer, _) = server
            .connect()
            .ask("POST /wiki/page HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
        let whole = answer.ends_with("\n\nhello");
        ensure(whole, format!("a POST lost its body: {answer:?}"))
    });
}

/// Asks a server that may have ended, or that may leave the connection open.
fn hello(server: &Server) -> Result<Client, String> {
    let client = Client::try_connect(server.address);
    let mut client = client.map_err(|error| format!("a client was not let in: {error}"))?;
    let answer = client.try_send(get("/")).read_until(END);
    let answered = answer.ends_with(END);
    ensure(answered, format!("a client got {answer:?}"))?;
    Ok(client)
}

#[test]
fn reap_in_loop() {
    exercise("webserver3d", "reap_in_loop", |program| {
        let server = &serve(program)?;
        for client in 1..=5 {
            let mut client_itself = hello(server)?;
            let zombies = server.lasting_zombies();
            let at_most_the_last = format!("after {client} clients it has {zombies} zombies");
            ensure(zombies <= 1, at_most_the_last)?;
            let (_, end) = client_itself.read_soon();
            ensure(end == End::Closed, "the answer does not end")?;
        }
        Ok(())
    });
}

/// The children that have not ended.
fn serving(server: &Server) -> usize {
    let children: Vec<Process> = server.wait_until_idle();
    children.iter().filter(|child| child.state != 'Z').count()
}

#[test]
fn limit_children() {
    exercise("webserver3g", "limit_children", |program| {
        let server = &serve(program)?;
        let mut clients: Vec<Client> = (0..12).map(|_| server.connect()).collect();
        let children = serving(server);
        ensure(
            children == 8,
            format!("12 clients have {children} children"),
        )?;
        let mut last = clients.split_off(11);
        let waiting = last.iter_mut().map(|client| client.read_now());
        ensure(
            waiting.flatten().count() == 0,
            "the last was not left waiting",
        )?;

        // Those who wait come in when others leave.
        clients.drain(..8);
        let children = serving(server);
        ensure(children == 4, format!("4 clients have {children} children"))?;
        for client in clients.iter_mut().chain(&mut last) {
            let (answer, end) = client.ask(&get("/"));
            let served = answer.ends_with(END) && end == End::Closed;
            ensure(served, format!("a client who waited got {answer:?}"))?;
        }
        // A zombie is no child that serves.
        (0..30).try_for_each(|_| hello(server).map(drop))
    });
}

#[test]
fn count_answers() {
    exercise("webserver3g", "count_answers", |program| {
        let server = &serve(program)?;
        for answers in [1, 20] {
            let before = printed(server);
            for _ in before..answers {
                // One that is answered, and one that leaves before.
                hello(server)?;
                server.connect().reset();
            }
            // It may count when the next client comes.
            server.wait_until_idle();
            let next = server.connect();
            server.wait_until_idle();
            let printed = printed(server);
            next.reset();
            let wanted = format!("wanted `answers: {answers}`, it printed {printed}");
            ensure(printed == answers, wanted)?;
            ensure(server.zombies() == 0, "it leaves zombies")?;
        }
        Ok(())
    });
}

/// The number in the last line `answers: N`; 0 without one.
fn printed(server: &Server) -> usize {
    let output = server.output();
    let mut lines = output.lines().rev();
    let number = lines.find_map(|line| line.strip_prefix("answers: ")?.parse().ok());
    number.unwrap_or(0)
}

#[test]
fn refuse_politely() {
    exercise("webserver3g", "refuse_politely", |program| {
        let server = &serve(program)?;
        let mut held: Vec<Client> = (0..8).map(|_| server.connect()).collect();
        let children = serving(server);
        ensure(children == 8, format!("8 clients have {children} children"))?;
        for speaks in [true, false] {
            // The request is there before the server looks, so that a close
            // without further thought resets the connection.
            server.signal(Signal::SIGSTOP);
            server.wait_for_state('T');
            let mut client = server.connect();
            if speaks {
                client.send(get("/"));
            }
            server.signal(Signal::SIGCONT);
            server.wait_until_idle();
            let (answer, end) = client.read_soon();
            let answer = String::from_utf8_lossy(&answer).into_owned();
            let refused = answer.starts_with("HTTP/1.1 503 ") && end == End::Closed;
            ensure(refused, format!("the ninth got {answer:?} and {end:?}"))?;
        }
        for client in &mut held {
            client.ask(&get("/"));
        }
        server.wait_until_idle();
        // All eight places are free again.
        let mut others: Vec<Client> = (0..8).map(|_| server.connect()).collect();
        others.iter_mut().try_for_each(|client| {
            let (answer, _) = client.ask(&get("/"));
            ensure(
                answer.ends_with(END),
                format!("one of eight got {answer:?}"),
            )
        })
    });
}

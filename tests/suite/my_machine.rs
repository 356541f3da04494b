//! The machine without input and output that the reader grows, and the server on that of
//! the gateway: what each stage can do, and what the one before it cannot.

use std::io::Write;
use std::process::Stdio;
use tests::client::End;
use tests::programs::command;
use tests::server::Server;
use tests::wait_for;

const POST: &str = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 33\r\n\r\n";
const SECRET: &str = "GET /secret HTTP/1.1\r\nHost: x\r\n\r\n";
const GET: &str = "GET /b HTTP/1.1\r\nHost: x\r\n\r\n";

/// What a program shows of these bytes, when they come in pieces of `size`: each request
/// on a line, with its body in one piece. What it has to complain of stands at the end.
pub fn story(program: &str, size: usize, bytes: &[u8]) -> Result<String, String> {
    let mut command = command(program);
    command.arg(size.to_string());
    command.stdin(Stdio::piped());
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| format!("{program}: {error}"))?;
    let mut input = child.stdin.take().ok_or("it has no input")?;
    let _ = input.write_all(bytes); // it may have ended
    drop(input);
    let output = child.wait_with_output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let text = [output.stdout, output.stderr].concat();
    let mut story = String::new();
    for line in String::from_utf8_lossy(&text).lines() {
        match line
            .strip_prefix("  \"")
            .and_then(|line| line.strip_suffix('"'))
        {
            Some(piece) if story.ends_with('"') => {
                story.pop();
                story += &format!("{piece}\"");
            }
            Some(piece) => story += &format!(" \"{piece}\""),
            None if line.starts_with(' ') => story += &format!(" {}", line.trim()),
            None => story += &format!("\n{line}"),
        }
    }
    Ok(story.trim_start().to_string())
}

/// The same, of a program of the course.
fn shown(program: &str, size: usize, bytes: &str) -> String {
    story(program, size, bytes.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_body_is_taken_for_a_request_until_it_is_counted() {
    let bytes = [POST, SECRET, GET].concat();
    for size in [7, 1000] {
        let story = shown("heads_alone", size, &bytes);
        assert_eq!(story, "POST /a\nGET /secret\nGET /b", "in pieces of {size}");
        let body = "\"GET /secret HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n\"";
        let wanted = format!("POST /a {body} whole\nGET /b whole");
        for stage in ["counts_bodies", "my_machine"] {
            assert_eq!(shown(stage, size, &bytes), wanted, "{stage}, {size}");
        }
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_is_looked_at_once() {
    let head = format!(
        "GET / HTTP/1.1\r\nCookie: {}\r\nHost: x\r\n\r\n",
        "a".repeat(1000)
    );
    let looks = |stage: &str| {
        let story = shown(stage, 1, &head);
        let (before, count) = story.split_once(" whole\n").expect(&story);
        assert_eq!(before, "GET /", "{stage}");
        let (count, _) = count.split_once(' ').expect(&story);
        count.parse::<usize>().expect(&story)
    };
    let length = head.len();
    assert_eq!(looks("looks_again"), (1..=length).sum::<usize>());
    assert!(looks("where_it_ended") <= 4 * length);
}

#[test]
fn a_blank_line_in_two_pieces_is_seen() {
    // Of its 28 bytes, the last four are the blank line.
    for size in [1, 2, 3, 5, 25, 26, 27] {
        assert_eq!(shown("my_machine", size, GET), "GET /b whole", "{size}");
    }
    assert_eq!(
        shown("forgets_the_seam", 1000, GET),
        "GET /b whole\n28 bytes looked at"
    );
    let story = shown("forgets_the_seam", 1, GET);
    assert!(!story.contains("GET"), "{story}");
}

#[test]
fn nothing_behind_a_bad_request_is_read() {
    let bytes = [GET, "GET /c HTTP/1.1\r\nHost : x\r\n\r\n", SECRET].concat();
    for size in [1, 7, 1000] {
        let story = shown("where_it_ended", size, &bytes);
        assert!(!story.contains("secret"), "{story}"); // it has ended
        let wanted = "GET /b whole 400 Bad Request: the name of a field is no word";
        assert_eq!(shown("my_machine", size, &bytes), wanted, "{size}");
    }
}

fn count(text: &[u8], what: &str) -> usize {
    String::from_utf8_lossy(text).matches(what).count()
}

#[test]
fn one_connection_carries_many_requests() {
    let server = Server::start("keeps_alive");
    let last = GET.replace("Host: x", "Host: x\r\nConnection: close");
    let mut client = server.connect();
    for piece in [POST, SECRET, GET, GET, &last, SECRET] {
        client.send(piece);
    }
    let (answers, end) = client.read_to_end();
    assert_eq!(end, End::Closed);
    assert_eq!(count(&answers, "HTTP/1.1 200 OK"), 4);
    assert_eq!(count(&answers, "Connection: close"), 1);
    assert_eq!(count(&answers, "Hello, World!\n"), 4);
    let (answers, _) = server
        .connect()
        .send([SECRET, "x\r\n\r\n", GET].concat())
        .read_to_end();
    assert_eq!(count(&answers, "HTTP/1.1 "), 2, "nothing behind a bad one");
    // Whoever waits to be told that its body is wanted is told.
    let expects = POST.replace(
        "Host: x",
        "Host: x\r\nConnection: close\r\nExpect: 100-continue",
    );
    let mut client = server.connect();
    assert!(client
        .send(expects)
        .read_until("\r\n\r\n")
        .contains("100 Continue"));
    let (answer, _) = client.send(SECRET).read_to_end();
    assert_eq!(count(&answer, "HTTP/1.1 200 OK"), 1);
}

#[test]
fn an_answer_that_is_too_short_ends_its_connection() {
    let server = Server::start("promises_one_more");
    let (answers, end) = server.connect().send([GET, GET].concat()).read_to_end();
    assert_eq!(end, End::Closed);
    assert_eq!(count(&answers, "HTTP/1.1 "), 1);
}

#[test]
fn a_silent_client_holds_the_server_until_it_is_timed() {
    let last = GET.replace("Host: x", "Host: x\r\nConnection: close");
    for (stage, served) in [("keeps_alive", false), ("in_time", true)] {
        let server = Server::start(stage);
        let _silent = server.connect();
        let (mut dribbles, mut client) = (server.connect(), server.connect());
        dribbles.send("GET");
        client.send(&last);
        if served {
            let (answer, _) = dribbles.read_to_end();
            assert_eq!(count(&answer, "HTTP/1.1 408 Request Timeout"), 1);
            assert_eq!(count(&client.read_to_end().0, "200 OK"), 1);
            continue;
        }
        assert_eq!(client.read_soon(), (Vec::new(), End::Silent));
        drop(_silent);
        drop(dribbles);
        let mut answer = Vec::new();
        wait_for("the answer", || {
            answer.extend(client.read_now());
            (count(&answer, "200 OK") == 1).then_some(())
        });
    }
}

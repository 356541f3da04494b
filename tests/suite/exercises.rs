//! The exercises: each test refuses the program that the exercise starts from and the
//! wrong answers of `tests/wrong/NAME`, each for its own reason, and takes the
//! solution. To try your own:
//!
//! ```sh
//! PROGRAM=/path/to/your/program cargo test --test suite exercises::NAME
//! ```
//!
//! `PROGRAM` may also be the name of a program of the course, and either may be
//! followed by arguments: `PROGRAM="webserver2 streamapp:large"`. Where the exercise is
//! in Python it is a file, and the tests need `--features tests/python`.

use crate::webserver1::serves_without_a_reader;
use flate2::write::GzDecoder;
use nix::sys::signal::Signal;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};
use tests::answer::Answer;
use tests::client::{get, Client, End};
use tests::experiments::{children_that_end_together, silent_client, silent_clients, END};
use tests::processes::{state, Process};
use tests::programs::{command, course, runs_here};
use tests::server::{Group, Server, Setup};
use tests::{has_tool, left_out, wait_for};

#[cfg(feature = "python")]
use tests::python::{can_check, Site, Visitor};

/// Says what is wrong with a program, named or by its path.
type Check = fn(&str) -> Result<(), String>;

/// Runs the check of an exercise on `PROGRAM`; without one, on the program it starts
/// from and on the wrong answers, which it must refuse for what is wrong with them, and
/// on the solution, which it must not. `seen` is what it says of the first.
fn exercise(name: &str, start: &str, seen: &str, solution: &str, check: Check) {
    if !runs_here(solution) {
        return tests::say(&format!("not checked: {name}, which needs Linux"));
    }
    let answers = wrong_answers(name);
    if let Ok(program) = std::env::var("PROGRAM") {
        let Err(error) = check(&program) else {
            return;
        };
        let alike = answers.iter().filter(|answer| error.contains(&answer.seen));
        let alike = alike.map(|answer| format!("\na program that {} fails like this", answer.what));
        panic!("{program}: {error}{}", alike.collect::<String>());
    }
    assert!(answers.len() >= 2, "tests/wrong/{name} has too few");
    let refused = |program: &str, seen: &str| match check(program) {
        Ok(()) => panic!("{name} takes {program} for an answer"),
        Err(error) if error.contains(seen) => {}
        Err(error) => panic!("{name} should say `{seen}` of {program}, and says: {error}"),
    };
    let arguments = solution
        .split_once(' ')
        .map_or("", |(_, arguments)| arguments);
    thread::scope(|scope| {
        scope.spawn(|| refused(start, seen));
        for answer in &answers {
            scope.spawn(|| refused(&format!("{} {arguments}", answer.program), &answer.seen));
        }
        let result = check(solution);
        result.unwrap_or_else(|error| panic!("{solution}: {error}"));
    });
}

/// An answer that a reader could give, and should not.
struct WrongAnswer {
    /// What it does: "a program that …".
    what: String,
    /// What the check must say of it, among other things.
    seen: String,
    /// The path of the program.
    program: String,
}

/// Those that are kept for an exercise: see tests/changed/main.rs.
fn wrong_answers(exercise: &str) -> Vec<WrongAnswer> {
    let folder = book::root().join("tests/wrong").join(exercise);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let files = files.map(|file| file.unwrap().path());
    let answers = files.map(|file| {
        let text: toml::Table = fs::read_to_string(&file).unwrap().parse().unwrap();
        let text = |key: &str| text[key].as_str().unwrap().to_string();
        let name = file.file_stem().unwrap().to_string_lossy();
        let in_python = format!("code/apps/python/solutions/{exercise}.py");
        if book::root().join(in_python).exists() {
            // tests/build.rs has written it.
            let in_python = Path::new(env!("OUT_DIR")).join(format!("wrong/{exercise}.{name}.py"));
            return WrongAnswer {
                what: text("what"),
                seen: text("seen"),
                program: in_python.display().to_string(),
            };
        }
        let program = crate::changed(&format!("{exercise}.{name}"));
        WrongAnswer {
            what: text("what"),
            seen: text("seen"),
            program: program.display().to_string(),
        }
    });
    answers.collect()
}

#[test]
fn every_exercise_has_wrong_answers_and_every_wrong_answer_an_exercise() {
    let text = fs::read_to_string(book::root().join(file!())).unwrap();
    let calls = Regex::new(r#"exercise\(\s*"(\w+)""#).unwrap();
    let asked: BTreeSet<String> = calls
        .captures_iter(&text)
        .map(|call| call[1].into())
        .collect();
    let entries = fs::read_dir(book::root().join("tests/wrong")).unwrap();
    let folders = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir());
    let kept: BTreeSet<String> = folders
        .map(|path| path.file_name().unwrap().to_string_lossy().into())
        .collect();
    assert_eq!(asked, kept);
    // And every solution of a part is that of an exercise.
    let solutions = course().programs.iter().cloned();
    let solutions = solutions.filter(|program| program.file.starts_with("code"));
    let solutions =
        solutions.filter(|program| program.file.display().to_string().contains("/solutions/"));
    let mut solutions: BTreeSet<String> = solutions.map(|program| program.name).collect();
    let in_python = fs::read_dir(book::root().join("code/apps/python/solutions")).unwrap();
    let in_python = in_python.map(|entry| entry.unwrap().path());
    let in_python = in_python.filter(|path| path.extension().is_some_and(|kind| kind == "py"));
    solutions.extend(in_python.map(|path| path.file_stem().unwrap().to_string_lossy().into()));
    assert_eq!(solutions, kept);
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
    exercise(
        "echo_path",
        "webserver1",
        "asked for /hello, wanted `Hello, /hello!`, got",
        "echo_path",
        |program| {
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
                format!("a request of one word got {answer:?}"),
            )
        },
    );
}

#[test]
fn count_visitors() {
    exercise(
        "count_visitors",
        "webserver1",
        "wanted `Hello, visitor 1!`, got",
        "count_visitors",
        |program| {
            let server = &serve(program)?;
            for visitor in 1..=3 {
                let answer = answer(server, "/")?;
                let wanted = format!("Hello, visitor {visitor}!");
                let found = answer.contains(&wanted);
                ensure(found, format!("wanted `{wanted}`, got {answer:?}"))?;
            }
            Ok(())
        },
    );
}

/// What the tests of `webserver1` ask of it, as far as the chapter has it from the reader.
#[test]
fn from_memory() {
    exercise(
        "from_memory",
        "any_address",
        "with a port that is taken it should say so in one line",
        "from_memory",
        |program| {
            let server = &serve(program)?;
            let line = "its first line names port 0, and not the one that it got";
            ensure(server.address.port() != 0, line)?;
            let visit = |after: &str| {
                let client = Client::try_connect(server.address);
                let client = client.map_err(|error| format!("a client was not let in: {error}"));
                let mut client = client.map_err(|error| format!("{after}, {error}"))?;
                let (answer, end) = client.try_send(get("/hello")).read_to_end();
                let answer = String::from_utf8_lossy(&answer);
                let right = answer == "HTTP/1.1 200 OK\n\nHello, World!\n" && end == End::Closed;
                ensure(
                    right,
                    format!("{after}, a client got {answer:?} and {end:?}"),
                )
            };
            visit("at first")?;
            let shown = server.prints(&get("/hello"));
            ensure(shown, "it does not show the request as it came")?;
            server.connect().try_send("no end").finish().read_to_end();
            let shown = server.prints("no end");
            ensure(shown, "it does not show a request without a line feed")?;
            visit("after a request without an end")?;
            server
                .connect()
                .try_send(b"\xff\xfe")
                .finish()
                .read_to_end();
            visit("after bytes that are not text")?;
            drop(server.connect());
            visit("after a client that says nothing")?;
            for _ in 0..3 {
                server.connect().reset();
                visit("after a client that resets")?;
            }
            let unread = serves_without_a_reader(program, None);
            unread.map_err(|error| format!("when nobody reads what it prints: {error}"))?;

            let busy = server.address.to_string();
            for (arguments, what, named) in [
                (&[busy.as_str()][..], "a port that is taken", &busy),
                (
                    &["nonsense"],
                    "an address that is none",
                    &"nonsense".to_string(),
                ),
                (&["127.0.0.1:0", "more"], "two arguments", &String::new()),
            ] {
                let refused = refusal(program, arguments);
                let (fails, errors) =
                    refused.ok_or_else(|| format!("with {what} it serves all the same"))?;
                ensure(fails, format!("with {what} it ends as if all were well"))?;
                let one_line = errors.lines().count() == 1 && errors.contains(named);
                let said = format!("with {what} it should say so in one line, and says {errors:?}");
                ensure(one_line, said)?;
            }
            Ok(())
        },
    );
}

/// Whether a program that should not serve ends with an error, and what it says; nothing,
/// if it prints the line of a server that serves.
fn refusal(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let mut command = command(program);
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut server = Group::spawn(&mut command);
    let mut line = String::new();
    let output = server.0.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    if !line.is_empty() {
        return None;
    }
    let mut errors = String::new();
    let mut said = server.0.stderr.take().unwrap();
    said.read_to_string(&mut errors).unwrap();
    Some((!server.0.wait().unwrap().success(), errors))
}

#[test]
fn not_found() {
    exercise(
        "not_found",
        "webserver1",
        "/ got \"HTTP/1.1 200",
        "not_found",
        |program| {
            let server = &serve(program)?;
            let hello = answer(server, "/hello")?;
            ensure(
                hello.starts_with("HTTP/1.1 200 OK"),
                format!("/hello got {hello:?}"),
            )?;
            for path in ["/", "/hell", "/hello/", "/say/hello", "/favicon.ico"] {
                let other = answer(server, path)?;
                let refused = other.starts_with("HTTP/1.1 404 Not Found");
                ensure(refused, format!("{path} got {other:?}"))?;
            }
            let referred = get("/other").replace("\r\n\r\n", "\r\nReferer: /hello\r\n\r\n");
            let (other, _) = server.connect().ask(&referred);
            let refused = other.starts_with("HTTP/1.1 404 Not Found");
            ensure(refused, format!("/other from /hello got {other:?}"))
        },
    );
}

#[test]
fn head_only() {
    exercise(
        "head_only",
        "smallest_answer",
        "HEAD got the body \"Hello",
        "head_only",
        |program| {
            let server = &serve(program)?;
            let whole = answer(server, "/")?;
            let (head, body) = parts(&whole)?;
            ensure(
                body == "Hello, World!\n",
                format!("GET got the body {body:?}"),
            )?;
            let named = answer(server, "/HEAD")?;
            let (_, body) = parts(&named)?;
            let whole = body == "Hello, World!\n";
            ensure(whole, format!("GET /HEAD got the body {body:?}"))?;
            let request = get("/").replace("GET", "HEAD");
            let (answer, _) = server.connect().ask(&request);
            let (same, nothing) = parts(&answer)?;
            ensure(nothing.is_empty(), format!("HEAD got the body {nothing:?}"))?;
            ensure(
                same == head,
                format!("GET got the head {head:?}, HEAD {same:?}"),
            )
        },
    );
}

/// The head and the body of an answer.
fn parts(answer: &str) -> Result<(&str, &str), String> {
    let parts = answer.split_once("\r\n\r\n");
    parts.ok_or_else(|| format!("no empty line ends the head: {answer:?}"))
}

#[test]
fn four_numbers() {
    exercise(
        "four_numbers",
        "webserver1",
        "in the output:",
        "four_numbers",
        |program| {
            let server = &serve(program)?;
            let mut client = server.connect();
            let wanted = format!("{} -> {}", client.address(), server.address);
            client.ask(&get("/"));
            let printed = server.prints(&wanted);
            let output = server.output();
            ensure(
                printed,
                format!("wanted `{wanted}` in the output:\n{output}"),
            )?;
            server.wait_for_output("Host: localhost");
            let output = server.output();
            let (before, _) = output.split_once("GET / ").unwrap_or_default();
            let late = format!("`{wanted}` comes after the request:\n{output}");
            ensure(before.contains(&wanted), late)
        },
    );
}

#[test]
fn next_port() {
    exercise(
        "next_port",
        "webserver1",
        "ended before it served: bind",
        "next_port",
        |program| {
            // One at a time: each takes ports, and tries who holds others.
            static ALONE: Mutex<()> = Mutex::new(());
            let _alone = ALONE
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            // Two that are taken, one after the other, and from an even number on.
            let bind = |port: u16| TcpListener::bind(("127.0.0.1", port)).ok();
            let two = |first: u16| Some((first, bind(first)?, bind(first + 1)?));
            let (first, _one, _two) = (20_000..30_000)
                .step_by(2)
                .skip(std::process::id() as usize % 4000)
                .find_map(two)
                .ok_or("no two ports are free")?;
            let server = &Server::try_start(program, &format!("127.0.0.1:{first}"))?;
            let port = server.address.port();
            let mut between = first + 2..port;
            let next = port > first + 1 && between.all(|port| bind(port).is_none());
            let taken = format!("{first} and the one after it are taken");
            ensure(
                next,
                format!("{taken}, and {port} is not the next free one"),
            )?;
            // An address that no machine has: RFC 5737.
            let nowhere = Server::try_start(program, "192.0.2.1:7000");
            let error = nowhere.err().unwrap_or_default();
            let (_, error) = error.split_once(": ").unwrap_or_default();
            let stops = error.starts_with("bind 192.0.2.1:7000: ");
            let wanted = format!("an error that is not the port's got {error:?}");
            ensure(stops, wanted)?;
            let answer = answer(server, "/")?;
            ensure(
                answer.contains("Hello"),
                format!("port {port} got {answer:?}"),
            )
        },
    );
}

#[test]
fn whole_request() {
    exercise(
        "whole_request",
        "webserver1",
        "it answers half a request",
        "whole_request",
        |program| {
            let server = &serve(program)?;
            for end_of_line in ["\r\n", "\n"] {
                let mut client = server.connect();
                client.send(format!("GET / HTTP/1.1{end_of_line}Host: lo"));
                server.comes_to_rest();
                let early = client.read_now();
                ensure(early.is_empty(), "it answers half a request")?;
                client.send(format!("calhost{end_of_line}{end_of_line}"));
                let answer = patiently(server, &mut client);
                let end = end_of_line.repeat(2);
                let got = format!("a whole request that ends in {end:?} got {answer:?}");
                ensure(answer.ends_with(END), got)?;
            }
            for (length, named) in [(3000, "3,000"), (8000, "8,000")] {
                let path = "x".repeat(length - get("/").len());
                let (answer, end) = server.connect().ask(&get(&format!("/{path}")));
                let whole = answer.ends_with(END) && end == End::Closed;
                let got = format!("a request of {named} bytes got {answer:?} and {end:?}");
                ensure(whole, got)?;
            }
            // Who hangs up halfway is gone, and the next is served.
            let mut half = server.connect();
            half.send("GET / HTTP/1.1\r\nHost: lo").finish();
            let rests = server.comes_to_rest();
            ensure(
                rests,
                "it runs without end after a client has hung up halfway",
            )?;
            drop(half);
            let mut next = server.connect();
            let answer = patiently(server, next.send(get("/")));
            let got = format!("after one that hung up halfway, a client got {answer:?}");
            ensure(answer.ends_with(END), got)?;
            // A head without end has one, and not before it must.
            let mut endless = server.connect();
            endless.send("x".repeat(8191));
            server.comes_to_rest();
            let early = endless.read_now();
            ensure(early.is_empty(), "it stops before 8,192 bytes")?;
            let answer = patiently(server, endless.send("x"));
            let got = format!("after 8,192 bytes without an empty line, the client got {answer:?}");
            let end = end_of(server, &mut endless);
            ensure(end != End::Silent, format!("{got}, and waits for more"))
        },
    );
}

/// How a connection has ended when the server has nothing to do any more.
fn end_of(server: &Server, client: &mut Client) -> End {
    server.comes_to_rest();
    client.read_soon().1
}

/// Whether a server has ended when it has nothing to do any more.
fn has_ended(server: &mut Server) -> bool {
    server.comes_to_rest();
    !server.is_running()
}

/// What comes up to the answer's end, for a server that may not give one.
fn patiently(server: &Server, client: &mut Client) -> String {
    let mut answer = client.read_until_within(END, Duration::from_millis(200));
    if !answer.ends_with(END) {
        server.comes_to_rest();
        answer += &String::from_utf8_lossy(&client.read_now());
    }
    answer
}

#[test]
fn patience() {
    exercise(
        "patience",
        "webserver1",
        "more than a second and a half",
        "patience",
        |program| {
            let server = &mut serve(program)?;
            // A busy machine may take a second for itself, but not each time.
            for _ in 0..5 {
                let _silent = server.connect();
                let mut other = server.connect();
                other.send(get("/"));
                let patience = Duration::from_millis(1500);
                if other.read_until_within(END, patience).ends_with(END) {
                    return Ok(());
                }
                // It may be about to end, when the client has been told already.
                let ended = has_ended(server);
                let errors = server.errors();
                ensure(!ended, format!("the server ended: {errors}"))?;
            }
            Err("a silent client holds the server for more than a second and a half".to_string())
        },
    );
}

#[test]
fn seen() {
    exercise(
        "seen",
        "known_length",
        "/seen got the status 404",
        "seen",
        |program| {
            let server = &serve(program)?;
            let request = "POST /seen?a=b HTTP/1.1\r\nHost: localhost\r\nX-Tag: one\r\n\
                Content-Length: 12\r\nContent-Type: text/plain\r\nX-TAG: two\r\n\r\nCookie: user";
            let (bytes, end) = server.connect().ask(request);
            let answer = Answer::parse(bytes.as_bytes(), end)?;
            let status = answer.code();
            ensure(status == "200", format!("/seen got the status {status}"))?;
            let text = answer.text();
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            for wanted in [
                "CONTENT_LENGTH=12",
                "CONTENT_TYPE=text/plain",
                "HTTP_HOST=localhost",
                "PATH_INFO=/seen",
                "QUERY_STRING=a=b",
                "REQUEST_METHOD=POST",
                "SERVER_PROTOCOL=HTTP/1.1",
                "HTTP_X_TAG=one, two",
            ] {
                let found = lines.contains(&wanted);
                ensure(found, format!("wanted {wanted}, and got:\n{text}"))?;
            }
            let eight = lines.len() == 8;
            ensure(eight, format!("wanted eight variables, and got:\n{text}"))?;
            let cake = Answer::to(server, "GET", "/cake?2", "")?.text();
            let whole = cake == "12 slices for 2: 6 each\n";
            ensure(whole, format!("/cake?2 got {cake:?}"))
        },
    );
}

#[test]
fn head_soon() {
    exercise(
        "head_soon",
        "known_length",
        "it cuts cakes for a HEAD",
        "head_soon",
        |program| {
            let server = &serve(program)?;
            let head = get("/cake?1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1").replace("GET", "HEAD");
            let mut client = server.connect();
            client.send(head);
            // Eight seconds of cutting, of which it should see none.
            let start = Instant::now();
            let (bytes, end) = client.read_to_end();
            let answer = Answer::parse(&bytes, end)?;
            let soon = start.elapsed() < Duration::from_secs(4);
            ensure(soon, "it cuts cakes for a HEAD")?;
            let (status, body) = (answer.code(), answer.text());
            let empty = status == "200" && body.is_empty();
            ensure(empty, format!("HEAD got the status {status} and {body:?}"))?;
            let (bytes, end) = server.connect().ask(&get("/pie").replace("GET", "HEAD"));
            let answer = Answer::parse(bytes.as_bytes(), end)?;
            let length = answer.field("Content-Length");
            let counted = length == Some("14") && answer.body.is_empty();
            ensure(counted, format!("HEAD of /pie got {bytes:?}"))?;
            let cakes = Answer::to(server, "GET", "/cake?2,1", "")?.text();
            let whole = cakes == "12 slices for 2: 6 each\n12 slices for 1: 12 each\n";
            ensure(whole, format!("GET of /cake?2,1 got {cakes:?}"))
        },
    );
}

#[test]
fn caught() {
    exercise(
        "caught",
        "my_gateway",
        "a cake for nobody got the status 400",
        "caught",
        |program| {
            let server = &mut serve(program)?;
            let (bytes, end) = server.connect().ask(&get("/cake?0"));
            let ended = bytes.is_empty() && has_ended(server);
            ensure(!ended, "a cake for nobody ends the server")?;
            let answer = Answer::parse(bytes.as_bytes(), end)?;
            let (status, body) = (answer.code(), answer.text());
            let apology = format!("a cake for nobody got the status {status}");
            ensure(status == "500", apology)?;
            let quiet = !body.contains("divide");
            ensure(quiet, format!("a stranger is told of the bug: {body:?}"))?;
            let broken = Answer::to(server, "GET", "/cake?3,0", "")?;
            let (status, body) = (broken.code(), broken.text());
            let half = status == "200" && body == "12 slices for 3: 4 each\n";
            ensure(
                half,
                format!("/cake?3,0 got the status {status} and {body:?}"),
            )?;
            let next = Answer::to(server, "GET", "/cake?4", "")?.text();
            let served = next == "12 slices for 4: 3 each\n";
            ensure(served, format!("the next visitor got {next:?}"))?;
            let told = server.errors_when_idle().lines().count() >= 2;
            ensure(told, "the terminal has no word of it")
        },
    );
}

#[test]
fn chunked() {
    exercise(
        "chunked",
        "my_gateway",
        "/cake?3,2 has no Transfer-Encoding",
        "chunked",
        |program| {
            const FIRST: &str = "18\r\n12 slices for 3: 4 each\n\r\n";
            let server = &serve(program)?;
            let of = |request: &str| {
                let (bytes, end) = server.connect().ask(request);
                Answer::parse(bytes.as_bytes(), end)
            };
            let coded = |answer: &Answer| answer.field("Transfer-Encoding").is_some();
            let whole = of(&get("/cake?3,2"))?;
            ensure(coded(&whole), "/cake?3,2 has no Transfer-Encoding")?;
            let body = whole.text();
            let wanted = format!("{FIRST}18\r\n12 slices for 2: 6 each\n\r\n0\r\n\r\n");
            let same = body.eq_ignore_ascii_case(&wanted);
            ensure(
                same,
                format!("/cake?3,2 wanted {wanted:?}, and got {body:?}"),
            )?;
            let half = of(&get("/cake?3,0"))?.text();
            let open = half == FIRST;
            ensure(open, format!("/cake?3,0 failed, and its body is {half:?}"))?;
            let old = of(&get("/cake?3").replace("HTTP/1.1", "HTTP/1.0"))?;
            let body = old.text();
            let plain = !coded(&old) && body == "12 slices for 3: 4 each\n";
            ensure(plain, format!("a client of HTTP/1.0 got {body:?}"))?;
            let head = of(&get("/cake?3").replace("GET", "HEAD"))?.text();
            ensure(head.is_empty(), format!("HEAD got {head:?}"))?;
            let known = of(&get("/pie"))?;
            let body = known.text();
            let plain = !coded(&known) && body == "No such page.\n";
            ensure(plain, format!("/pie, whose length is known, got {body:?}"))
        },
    );
}

#[test]
fn own_names() {
    exercise(
        "own_names",
        "webserver2",
        "Host: example.com got the status 200",
        "own_names",
        |program| {
            let server = &serve(&format!("{program} wsgiapp:app"))?;
            let of = |request: &str| {
                let (bytes, end) = server.connect().ask(request);
                Answer::parse(bytes.as_bytes(), end)
            };
            for (host, wanted) in [
                ("localhost", "200"),
                ("LocalHost:8888", "200"),
                ("127.0.0.1", "200"),
                ("127.0.0.1:8888", "200"),
                ("[::1]:8888", "200"),
                ("[::1]", "200"),
                ("", "200"),
                ("example.com", "421"),
                ("localhost.example.com", "421"),
                ("example.com:8888", "421"),
                ("[::2]:8888", "421"),
            ] {
                let answer = of(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))?;
                let status = answer.code();
                let error = format!("Host: {host} got the status {status}");
                ensure(status == wanted, error)?;
            }
            let old = of("GET / HTTP/1.0\r\n\r\n")?;
            let status = old.code();
            let error = format!("a request of HTTP/1.0 got the status {status}");
            ensure(status == "200", error)?;
            let whole = of("GET http://example.com/ HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            let status = whole.code();
            let error = format!("http://example.com/ got the status {status}");
            ensure(status == "421", error)?;
            let head = of("HEAD / HTTP/1.1\r\nHost: example.com\r\n\r\n")?.text();
            ensure(head.is_empty(), format!("HEAD got {head:?}"))
        },
    );
}

#[test]
fn slow() {
    exercise(
        "slow",
        "webserver2",
        "no line has slow and /count",
        "slow",
        |program| {
            // On a busy machine any answer may take long, but not each of them.
            const VISITS: usize = 5;
            let server = &serve(&format!("{program} wsgiapp:app"))?;
            let blamed = |of: &str| {
                let errors = server.errors_when_idle();
                errors.lines().filter(|line| line.contains(of)).count()
            };
            for _ in 0..VISITS {
                Answer::to(server, "GET", "/at-once", "")?;
            }
            ensure(blamed("/at-once") < VISITS, "a fast answer is called slow")?;
            for _ in 0..VISITS {
                let mut client = server.connect();
                client.send("GET /dawdler HTTP/1.1\r\n");
                thread::sleep(Duration::from_millis(300)); // what the client takes
                client.send("Host: localhost\r\n\r\n").read_to_end();
            }
            let error = "an answer is called slow that waited for its client";
            ensure(blamed("/dawdler") < VISITS, error)?;
            let server = &serve(&format!("{program} streamapp:app"))?;
            Answer::to(server, "GET", "/count%1B", "")?;
            let errors = server.errors_when_idle();
            let mut lines = errors.lines();
            let told = lines.any(|line| line.contains("slow") && line.contains("/count"));
            ensure(told, "no line has slow and /count")?;
            ensure(
                !errors.contains('\x1b'),
                "a stranger's escape reaches the terminal",
            )
        },
    );
}

#[test]
fn range() {
    exercise(
        "range",
        "webserver2 streamapp:large",
        "bytes=500-519 wanted the status 206, and got 200",
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
    exercise(
        "compress",
        "webserver2",
        "wanted Content-Encoding gzip, and got None",
        "compress",
        |program| {
            for name in ["streamapp:app", "streamapp:late", "streamapp:write"] {
                let server = &serve(&format!("{program} validator:{name}"))?;
                let answer = Answer::to(server, "GET", "/", GZIP)?;
                let text = unpack(&answer).map_err(|error| format!("{name}: {error}"))?;
                let counted = text == b"1\n2\n3\n4\n5\n";
                let text = String::from_utf8_lossy(&text);
                ensure(counted, format!("{name}: unpacked, the body was {text:?}"))?;
                // Once in six is enough: a busy machine may bring the chunks late.
                let paced = (0..6).any(|_| comes_in_pieces(server));
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
        },
    );
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
    exercise(
        "mounted",
        "webserver2",
        "wanted SCRIPT_NAME=/wiki",
        "mounted",
        |program| {
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
            let (answer, _) = server.connect().ask(
                "POST /wiki/page HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
            );
            let whole = answer.ends_with("\n\nhello");
            ensure(whole, format!("a POST lost its body: {answer:?}"))
        },
    );
}

#[test]
fn block_on() {
    exercise(
        "block_on",
        "webserver2 wsgiapp:app",
        "the answer came after",
        "block_on wsgiapp:app",
        |program| {
            const WAIT: Duration = Duration::from_secs(1);
            let server = &serve(program)?;
            for _ in 0..2 {
                let began = Instant::now();
                let mut client = server.connect();
                client.send(get("/"));
                // Looks at it while it should wait, from the middle of the second on.
                let mut looks = vec![];
                while began.elapsed() < WAIT * 9 / 10 {
                    thread::sleep(WAIT / 50);
                    if began.elapsed() > WAIT / 2 {
                        looks.extend(state(server.pid()));
                    }
                }
                let answer = client.read_until_within(END_OF_WSGIAPP, 10 * WAIT);
                let took = began.elapsed();
                let silent = format!("a client has no answer after {took:?}");
                ensure(!answer.is_empty(), silent)?;
                let status = answer.get(9..12).unwrap_or_default();
                let wanted = format!("wanted the status 200, and got {status}");
                ensure(status == "200", wanted)?;
                let early = format!("the answer came after {took:?}, and not after a second");
                ensure(took >= WAIT, early)?;
                let runs = looks.iter().filter(|state| **state == 'R').count();
                let hot = format!("in {runs} of {} looks while it waits, it runs", looks.len());
                ensure(runs <= looks.len() / 2, hot)?;
            }
            Ok(())
        },
    );
}

/// The last words of `wsgiapp:app`.
const END_OF_WSGIAPP: &str = "application!\n";

/// A file of Python's, served from a folder with the applications of the course, by a
/// server with Python inside.
#[cfg(feature = "python")]
struct Guest {
    site: Site,
    module: String,
}

#[cfg(feature = "python")]
impl Guest {
    fn new(program: &str) -> Result<Guest, String> {
        let file = book::root().join(program.trim());
        let is_python = file.extension().is_some_and(|kind| kind == "py");
        let named = format!("{} is no file of Python's: *.py", file.display());
        ensure(is_python && file.is_file(), named)?;
        let module = file.file_stem().unwrap_or_default().to_string_lossy();
        // A module whose name has a dot would be one of a package.
        let (site, module) = (Site::new(), module.replace('.', "_"));
        let to = site.folder.join(format!("{module}.py"));
        let copied = fs::copy(&file, to);
        copied.map_err(|error| format!("copy {}: {error}", file.display()))?;
        site.write("answer.txt", &module); // for the modules of the tests that import it
        Ok(Guest { site, module })
    }

    /// The callable of that name in it, served.
    fn serve(&self, server: &str, callable: &str) -> Result<Server, String> {
        let application = format!("{}:{callable}", self.module);
        self.serve_another(server, &application)
    }

    fn serve_another(&self, server: &str, application: &str) -> Result<Server, String> {
        let command = self.site.command(server, &[application, "127.0.0.1:0"]);
        Server::spawn(&format!("{server} {application}"), command)
    }
}

#[cfg(feature = "python")]
#[test]
fn native() {
    if !can_check("the exercise native") {
        return;
    }
    exercise(
        "native",
        "code/apps/python/hello.py",
        r#"/Ann wanted the body "Hello, Ann!\n", and got "Hello from Python!\n""#,
        "code/apps/python/solutions/native.py",
        |program| {
            let guest = Guest::new(program)?;
            let server = &guest.serve("webserver2", "app")?;
            for (target, name) in [
                ("/Ann", "Ann"),
                ("/caf%C3%A9", "caf\u{e9}"),
                ("/%E2%82%AC/5", "\u{20ac}/5"),
                ("/", "World"),
            ] {
                let answer = Answer::to(server, "GET", target, "")?;
                let (status, body) = (answer.code(), answer.text());
                ensure(
                    status == "200",
                    format!("{target} wanted the status 200, and got {status}"),
                )?;
                let wanted = format!("Hello, {name}!\n");
                let other = format!("{target} wanted the body {wanted:?}, and got {body:?}");
                ensure(body == wanted, other)?;
            }
            let answer = Answer::to(server, "GET", "/%FF", "")?;
            let status = answer.code();
            let other = format!("/%FF wanted the status 404, and got {status}");
            ensure(status == "404", other)
        },
    );
}

#[cfg(feature = "python")]
#[test]
fn apology() {
    if !can_check("the exercise apology") {
        return;
    }
    exercise(
        "apology",
        "code/apps/python/hello.py",
        "has no attribute 'apologises'",
        "code/apps/python/solutions/apology.py",
        |program| {
            let guest = Guest::new(program)?;
            for (callable, what) in [
                ("at_once", "an application that fails at once"),
                ("started", "an application that fails after start_response"),
                ("generator", "a generator that fails before its first chunk"),
            ] {
                let server = &guest.serve_another("webserver2", &format!("failing:{callable}"))?;
                let answer = Answer::to(server, "GET", "/", "")?;
                let (status, body) = (answer.code(), answer.text());
                let other = format!("{what} wanted \"Sorry.\\n\", and got {body:?}");
                ensure(body == "Sorry.\n", other)?;
                let other = format!("{what} wanted the status 500, and got {status}");
                ensure(status == "500", other)?;
            }
            let server = &guest.serve_another("webserver2", "failing:late")?;
            let answer = Answer::to(server, "GET", "/", "")?;
            let body = answer.text();
            let what = "an application that fails after its first chunk";
            let other = format!("{what} wanted \"first\\n\", and got {body:?}");
            ensure(body == "first\n", other)?;
            let told = server.errors_when_idle();
            let told = told.contains("raised ValueError: no such fruit");
            ensure(told, format!("{what}: the server was told nothing"))?;

            let server = &guest.serve_another("webserver2", "failing:whole")?;
            let body = Answer::to(server, "GET", "/", "")?.text();
            let other = format!("an application that does not fail got {body:?}");
            ensure(body == "ab\n", other)?;
            server.wait_until_idle();
            let closed = guest.site.notes().matches("closed").count();
            ensure(
                closed == 1,
                format!("close() of the body was called {closed} times"),
            )
        },
    );
}

#[cfg(feature = "python")]
#[test]
fn last_mails() {
    if !can_check("the exercise last_mails") {
        return;
    }
    exercise(
        "last_mails",
        "code/apps/python/mailer.py",
        "of 3 mails ",
        "code/apps/python/solutions/last_mails.py",
        |program| {
            let guest = Guest::new(program)?;
            let mut server = guest.serve("webserver2", "app")?;
            let targets: Vec<String> = (1..=3).map(|mail| format!("/{mail}")).collect();
            for target in &targets {
                let status = Answer::to(&server, "GET", target, "")?.status;
                ensure(status == "200 OK", format!("{target} got {status}"))?;
            }
            server.signal(Signal::SIGTERM);
            wait_for("the server's end", || server.ended());
            let sent = guest.site.read("sent.txt");
            let sent: Vec<&str> = sent.lines().collect();
            let lost = format!("of 3 mails {} were sent: {sent:?}", sent.len());
            ensure(sent == targets, lost)?;
            let errors = server.errors();
            ensure(errors.is_empty(), format!("the server said: {errors}"))
        },
    );
}

#[cfg(feature = "python")]
#[test]
fn two_roofs() {
    if !can_check("the exercise two_roofs") {
        return;
    }
    exercise(
        "two_roofs",
        "code/apps/python/flaskapp.py",
        "/flask/hello wanted",
        "code/apps/python/solutions/two_roofs.py",
        |program| {
            let guest = Guest::new(program)?;
            let server = &guest.serve("webserver2", "app")?;
            for (target, wanted) in [
                ("/flask/hello", "Hello world from Flask!\n"),
                ("/django/hello", "Hello world from Django!\n"),
            ] {
                let body = Answer::to(server, "GET", target, "")?.text();
                let other = format!("{target} wanted {wanted:?}, and got {body:?}");
                ensure(body == wanted, other)?;
            }
            let admin = Answer::to(server, "GET", "/django/admin/", "")?;
            let to = admin.field("Location").unwrap_or("nowhere");
            let wanted = "/django/admin/login/?next=/django/admin/";
            let other = format!("/django/admin/ wanted to send to {wanted}, and sends to {to}");
            ensure(to == wanted, other)?;
            for target in ["/flasks", "/", "/djangoo/hello", "/hello"] {
                let answer = Answer::to(server, "GET", target, "")?;
                let (status, body) = (answer.code(), answer.text());
                let wanted = "There is nothing under this roof.\n";
                let other = format!("{target} wanted {wanted:?}, and got {body:?}");
                ensure(body == wanted, other)?;
                let other = format!("{target} wanted the status 404, and got {status}");
                ensure(status == "404", other)?;
            }
            let greeted = Visitor::new(server).post("/flask/greet", &[("name", "Ada")]);
            let body = greeted.text();
            let other = format!("a form for Flask got {body:?}");
            ensure(body.contains("Hello, Ada!"), other)
        },
    );
}

#[cfg(feature = "python")]
#[test]
fn remember() {
    if !can_check("the exercise remember") {
        return;
    }
    exercise(
        "remember",
        "code/apps/python/counter.py",
        "24 visitors at once got [1, 1, 1,",
        "code/apps/python/solutions/remember.py",
        |program| {
            let guest = Guest::new(program)?;
            let number = |client: &mut Client| -> Result<u32, String> {
                let (bytes, end) = client.read_to_end();
                let text = Answer::parse(&bytes, end)?.text();
                let number = text.trim_end().strip_prefix("visitor ");
                let number = number.and_then(|number| number.parse().ok());
                number.ok_or_else(|| format!("wanted `visitor NUMBER`, and got {text:?}"))
            };
            let server = guest.serve_another("webserver3h", "slow_files:app")?;
            let mut clients: Vec<Client> = (0..24).map(|_| server.connect()).collect();
            for client in &mut clients {
                client.send(get("/"));
            }
            let answers: Vec<_> = clients.iter_mut().map(number).collect();
            let mut numbers: Vec<u32> = answers.iter().flatten().copied().collect();
            numbers.sort();
            // Where two have written at once, the next may find no number.
            let failed = answers.into_iter().find_map(Result::err);
            let other = format!("24 visitors at once got {numbers:?}");
            match failed {
                Some(failed) if numbers.is_empty() => return Err(failed),
                Some(failed) => return Err(format!("{other}, and one {failed}")),
                None => ensure(numbers.iter().copied().eq(1..=24), other)?,
            }
            drop(server);
            let server = guest.serve_another("webserver3h", "slow_files:app")?;
            let next = number(server.connect().send(get("/")))?;
            let other = format!("the first visitor after a restart got {next}, and not 25");
            ensure(next == 25, other)
        },
    );
}

/// Asks a server that may have ended, or that may leave the connection open.
fn hello(server: &Server) -> Result<Client, String> {
    let client = Client::try_connect(server.address);
    let mut client = client.map_err(|error| format!("a client was not let in: {error}"))?;
    let answer = patiently(server, client.try_send(get("/")));
    let rests = answer.ends_with(END) || server.comes_to_rest();
    ensure(rests, "it runs without end")?;
    let answered = answer.ends_with(END);
    ensure(answered, format!("a client got {answer:?}"))?;
    Ok(client)
}

/// A client that has been answered, if it is.
fn answered(server: &Server) -> Result<Client, String> {
    let mut client = server.connect();
    let answer = patiently(server, client.send(get("/")));
    let whole = answer.ends_with(END);
    ensure(whole, format!("a client got {answer:?}"))?;
    Ok(client)
}

#[test]
fn nap_after_closing() {
    exercise(
        "nap_after_closing",
        "webserver3b",
        "the answer does not end",
        "nap_after_closing",
        |program| {
            let server = &serve(program)?;
            let end = end_of(server, &mut answered(server)?);
            ensure(end == End::Closed, "the answer does not end")?;
            let mut second = server.connect();
            second.send(get("/"));
            server.wait_until_idle();
            let early = second.read_now();
            let naps = early.is_empty();
            ensure(naps, "it does not nap: the second was answered at once")
        },
    );
}

#[test]
fn not_alone() {
    exercise(
        "not_alone",
        "webserver3a",
        "the first, with another in the queue, got",
        "not_alone",
        |program| {
            let server = &serve(program)?;
            let mut first = server.connect();
            server.wait_until_idle(); // it has been accepted, and says nothing
            let mut second = server.connect();
            let (answer, _) = first.ask(&get("/"));
            let not_alone = answer.ends_with("Hello, you are not alone!\n");
            let error = format!("the first, with another in the queue, got {answer:?}");
            ensure(not_alone, error)?;
            let (answer, _) = second.ask(&get("/"));
            let alone = answer.ends_with(END);
            ensure(alone, format!("the second, who was alone, got {answer:?}"))
        },
    );
}

#[test]
fn count_children() {
    exercise(
        "count_children",
        "webserver3c",
        "wanted `Hello, visitor 1!`, got",
        "count_children",
        |program| {
            let server = &serve(program)?;
            let greeted = |client: &mut Client, visitor: u32| {
                let answer = client.send(get("/")).read_until("!\n");
                let wanted = format!("Hello, visitor {visitor}!");
                let found = answer.contains(&wanted);
                ensure(found, format!("wanted `{wanted}`, got {answer:?}"))
            };
            for visitor in 1..=3 {
                greeted(&mut server.connect(), visitor)?;
            }
            // Who comes first has the lower number, and not who speaks first.
            let mut clients = silent_clients(server, 3);
            for (client, visitor) in clients.iter_mut().zip([4, 5, 6]).rev() {
                greeted(client, visitor)?;
            }
            Ok(())
        },
    );
}

#[test]
fn named_children() {
    if !Path::new("/proc/self/comm").exists() {
        return left_out("the names of processes", "/proc/PID/comm");
    }
    exercise(
        "named_children",
        "webserver3c",
        "the child of 127.0.0.1:",
        "named_children",
        |program| {
            let server = &serve(program)?;
            let name = |pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let own = name(server.pid());
            for _ in 0..2 {
                let (client, child) = silent_client(server);
                server.wait_until_idle();
                let (client, child) = (client.address(), name(child));
                let named = child.trim_end() == client.to_string();
                ensure(named, format!("the child of {client} is called {child:?}"))?;
                let now = name(server.pid());
                let kept = now == own;
                ensure(kept, format!("the server itself is called {now:?}"))?;
            }
            Ok(())
        },
    );
}

/// What a client3 did: when its connections came, its exit code, its output, and its
/// errors. Each connection is answered after a pause of its own.
type Visits = (Vec<Instant>, Option<i32>, String, String);

fn visits(program: &str, arguments: &[&str], pauses: &[u64]) -> Visits {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let arguments = [arguments, &["--address", &address]].concat();
    thread::scope(|scope| {
        let client = scope.spawn(|| Setup::new(program).run(&arguments));
        let mut came = Vec::new();
        while !client.is_finished() {
            let Ok((mut connection, _)) = listener.accept() else {
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            let pause = pauses.get(came.len()).copied().unwrap_or(0);
            came.push(Instant::now());
            scope.spawn(move || {
                connection.set_nonblocking(false).unwrap();
                let _ = connection.read(&mut [0; 1024]);
                thread::sleep(Duration::from_millis(pause));
                let _ = connection.write_all(b"HTTP/1.1 200 OK\n\nHello, World!\n");
            });
        }
        let (code, output, errors) = client.join().unwrap();
        (came, code, output, errors)
    })
}

#[test]
fn slowest_answer() {
    exercise(
        "slowest_answer",
        "client3",
        "says nothing of the slowest answer",
        "slowest_answer",
        |program| {
            let arguments = ["--max-clients", "3"];
            let (_, code, output, errors) = visits(program, &arguments, &[100, 2100, 300]);
            let ends = code == Some(0) && output.contains("3 answered");
            let error = format!("all were answered, and it says {output:?}, {errors:?}");
            ensure(ends, error)?;
            let slowest = output.trim_end().split_once("; slowest answer ");
            let slowest = slowest.and_then(|(_, time)| time.strip_suffix(" ms"));
            let slowest = slowest.and_then(|time| time.parse().ok());
            let error = format!("it says nothing of the slowest answer: {output:?}");
            let slowest: u64 = slowest.ok_or(error)?;
            let right = (2100..10_000).contains(&slowest);
            ensure(right, format!("2100 ms are {slowest} ms to it"))
        },
    );
}

#[test]
fn pause_between() {
    exercise(
        "pause_between",
        "client3",
        "unexpected argument '--pause'",
        "pause_between",
        |program| {
            let arguments = ["--max-clients", "3", "--pause", "1500"];
            let (came, code, output, errors) = visits(program, &arguments, &[]);
            let ends = code == Some(0) && output.contains("3 answered");
            let error = format!("all were answered, and it says {output:?}, {errors:?}");
            ensure(ends, error)?;
            let [first, .., last] = came[..] else {
                return Err(format!("{} clients came", came.len()));
            };
            let time = last.duration_since(first).as_millis();
            // Less than two pauses: the last may have been quicker on its way.
            ensure(time > 2000, format!("the clients came within {time} ms"))?;
            // Whoever asks for no pause has none.
            let (came, ..) = visits(program, &arguments[..2], &[]);
            ensure(came.len() == 3, format!("{} clients came", came.len()))
        },
    );
}

#[test]
fn outlive_shortage() {
    exercise(
        "outlive_shortage",
        "webserver3d",
        "has ended: accept: EMFILE",
        "outlive_shortage",
        |program| {
            // The standard three, and the listener: `accept` fails whether somebody has
            // come or not.
            let mut server = Setup::new(program).most_descriptors(4).start()?;
            let complains = |server: &Server| server.errors().contains("EMFILE");
            tests::wait_for("a complaint", || {
                (!server.is_running() || complains(&server)).then_some(())
            });
            ensure(server.comes_to_rest(), "it runs without end")?;
            let running = server.is_running();
            ensure(running, format!("it has ended: {}", server.errors()))?;
            if has_tool("strace") {
                let inject = "inject=accept,accept4:error=EMFILE:when=1";
                let setup = Setup::new(program).under(&["strace", "-qq", "-e", inject]);
                answered(&setup.start()?)?;
            }
            let server = &serve(program)?;
            let end = end_of(server, &mut answered(server)?);
            ensure(end == End::Closed, "the answer does not end")
        },
    );
}

#[test]
fn spare_descriptor() {
    exercise(
        "spare_descriptor",
        "webserver3d",
        "it has ended: accept: EMFILE",
        "spare_descriptor",
        |program| {
            // The standard three, the listener, and the spare one.
            let mut server = Setup::new(program).most_descriptors(5).start()?;
            for number in 1..=3 {
                let client = Client::try_connect(server.address);
                let mut client = client.map_err(|error| error.to_string())?;
                ensure(server.comes_to_rest(), "it runs without end")?;
                let running = server.is_running();
                ensure(running, format!("it has ended: {}", server.errors()))?;
                let sent_away = client.read_soon().1 != End::Silent;
                ensure(sent_away, format!("client {number} waits for a number"))?;
            }
            let server = &serve(program)?;
            let end = end_of(server, &mut answered(server)?);
            ensure(end == End::Closed, "the answer does not end")
        },
    );
}

#[test]
fn reap_in_loop() {
    exercise(
        "reap_in_loop",
        "webserver3d",
        "the answer does not end",
        "reap_in_loop",
        |program| {
            let server = &serve(program)?;
            for client in 1..=5 {
                let mut client_itself = hello(server)?;
                ensure(server.comes_to_rest(), "it runs without end")?;
                let zombies = server.lasting_zombies();
                let at_most_the_last = format!("after {client} clients it has {zombies} zombies");
                ensure(zombies <= 1, at_most_the_last)?;
                let (_, end) = client_itself.read_soon();
                ensure(end == End::Closed, "the answer does not end")?;
            }
            // Nobody waits for somebody else's child.
            let (_silent, _) = silent_client(server);
            let waits = hello(server).map(drop);
            waits.map_err(|error| format!("beside one who says nothing, {error}"))?;
            drop(_silent);
            // Eight that end together: the next client clears them all.
            let server = &serve(program)?;
            children_that_end_together(server, 8);
            hello(server)?;
            let zombies = server.lasting_zombies();
            let left =
                format!("eight ended together, and after one client more it has {zombies} zombies");
            ensure(zombies <= 1, left)
        },
    );
}

/// The children that have not ended.
fn serving(server: &Server) -> usize {
    let children: Vec<Process> = server.wait_until_idle();
    children.iter().filter(|child| child.state != 'Z').count()
}

#[test]
fn limit_children() {
    exercise(
        "limit_children",
        "webserver3g",
        "12 clients have 12 children",
        "limit_children",
        |program| {
            let server = &serve(program)?;
            let mut clients: Vec<Client> = (0..12).map(|_| server.connect()).collect();
            ensure(server.comes_to_rest(), "at the limit it runs without end")?;
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
                let answer = patiently(server, client.send(get("/")));
                let waited = format!("one of 12 clients, after 8 have left, got {answer:?}");
                ensure(answer.ends_with(END), waited)?;
                let end = end_of(server, client);
                ensure(end == End::Closed, "the answer does not end")?;
            }
            // A zombie is no child that serves.
            (0..30).try_for_each(|_| hello(server).map(drop))
        },
    );
}

#[test]
fn count_answers() {
    exercise(
        "count_answers",
        "webserver3g",
        "wanted `answers: 1`, it printed 0",
        "count_answers",
        |program| {
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
                ensure(server.lasting_zombies() == 0, "it leaves zombies")?;
            }
            Ok(())
        },
    );
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
    exercise(
        "refuse_politely",
        "webserver3g",
        "the ninth got \"HTTP/1.1 200",
        "refuse_politely",
        |program| {
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
                let said = if speaks {
                    ""
                } else {
                    ", while a ninth says nothing"
                };
                ensure(
                    refused,
                    format!("the ninth got {answer:?} and {end:?}{said}"),
                )?;
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
        },
    );
}

/// The row of bits in a process's `/proc/PID/status`.
fn bits(pid: u32, row: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(row));
    let number = line.and_then(|rest| rest.strip_prefix(":\t"));
    number.map_or(0, |number| {
        u64::from_str_radix(number, 16).unwrap_or_default()
    })
}

const CHLD: u64 = 1 << (Signal::SIGCHLD as u32 - 1);

fn signal_to(process: u32, signal: i32) {
    // SAFETY: kill makes a system call and touches no memory.
    unsafe { nix::libc::kill(process as i32, signal) };
}

#[test]
fn how_it_ended() {
    exercise(
        "how_it_ended",
        "webserver3d",
        "the answer does not end",
        "how_it_ended",
        |program| {
            let server = &serve(program)?;
            let (mut served, exits) = silent_client(server);
            let end = end_of(server, served.send(get("/")));
            ensure(end == End::Closed, "the answer does not end")?;
            let (silent, killed) = silent_client(server);
            signal_to(killed, Signal::SIGTERM as i32);
            server.wait_until_idle();
            hello(server)?;
            for line in [
                format!("child pid {exits} exited with 0\n"),
                format!("child pid {killed} was ended by SIGTERM\n"),
            ] {
                let said = server.output_when_idle().contains(&line);
                ensure(said, format!("it does not print {line:?}"))?;
            }
            drop(silent);
            if cfg!(target_os = "linux") {
                let (_first, strange) = silent_client(server);
                let (_second, other) = silent_client(server);
                signal_to(strange, 34);
                signal_to(other, Signal::SIGKILL as i32);
                server.wait_until_idle();
                hello(server)?;
                let zombies = server.lasting_zombies();
                let left = format!("after a real-time signal it has {zombies} zombies");
                ensure(zombies <= 1, left)?;
            }
            Ok(())
        },
    );
}

#[test]
fn read_again() {
    exercise(
        "read_again",
        "webserver3f",
        "a client whose child was sent SIGCHLD 1 times got \"\"",
        "read_again",
        |program| {
            let server = &serve(program)?;
            for times in 1..=3 {
                let (mut client, child) = silent_client(server);
                for _ in 0..times {
                    ensure(server.comes_to_rest(), "it runs without end")?;
                    signal_to(child, Signal::SIGCHLD as i32);
                }
                ensure(server.comes_to_rest(), "it runs without end")?;
                let early = client.read_now();
                ensure(early.is_empty(), "a client is answered before it has asked")?;
                let answer = patiently(server, client.try_send(get("/")));
                let whole = answer.ends_with(END);
                let said = format!("a client whose child was sent SIGCHLD {times} times got");
                ensure(whole, format!("{said} {answer:?}"))?;
            }
            let (client, _) = silent_client(server);
            client.reset();
            ensure(server.comes_to_rest(), "after a reset it runs without end")?;
            let said = server
                .errors()
                .contains("request: Connection reset by peer");
            ensure(said, "it does not report a client that resets")
        },
    );
}

#[test]
fn told_to_stop() {
    exercise(
        "told_to_stop",
        "webserver3f",
        "it has ended by the signal",
        "told_to_stop",
        |program| {
            let mut server = serve(program)?;
            for _ in 0..2 {
                hello(&server)?;
            }
            let (mut served, _) = silent_client(&server);
            server.wait_until_idle();
            server.signal(Signal::SIGTERM);
            server.comes_to_rest();
            let status = server.ended().ok_or("told to stop, it goes on")?;
            let code = status.code().ok_or("it has ended by the signal")?;
            ensure(code == 0, format!("its exit code is {code}"))?;
            let said = server.prints("stopped after 3 clients\n");
            ensure(said, "it does not say after how many clients")?;
            let (answer, _) = served.ask(&get("/"));
            let whole = answer.ends_with(END);
            ensure(whole, format!("who was being served got {answer:?}"))?;

            let server = &serve(program)?;
            let (mut client, child) = silent_client(server);
            server.wait_until_idle();
            signal_to(child, Signal::SIGTERM as i32);
            let end = end_of(server, &mut client);
            let errors = server.errors_when_idle();
            let ends = end != End::Silent && errors.is_empty();
            ensure(
                ends,
                format!("a child that is told to end: {end:?}, {errors:?}"),
            )
        },
    );
}

#[test]
fn deaf_children() {
    if !Path::new("/proc/self/status").exists() {
        return left_out("what a process catches", "/proc/PID/status");
    }
    exercise(
        "deaf_children",
        "webserver3g_signal_hook",
        "a child catches SIGCHLD",
        "deaf_children",
        |program| {
            let server = &serve(program)?;
            let (mut client, child) = silent_client(server);
            server.wait_until_idle();
            for (row, what) in [
                ("SigCgt", "catches"),
                ("SigIgn", "ignores"),
                ("SigBlk", "blocks"),
            ] {
                let not = bits(child, row) & CHLD == 0;
                ensure(not, format!("a child {what} SIGCHLD"))?;
            }
            client.ask(&get("/"));
            for _ in 0..3 {
                hello(server)?;
            }
            let zombies = server.lasting_zombies();
            ensure(zombies == 0, format!("it leaves {zombies} zombies"))
        },
    );
}

#[test]
fn last_words() {
    exercise(
        "last_words",
        "webserver3g_signal_hook",
        "it does not wait for its children",
        "last_words",
        |program| {
            let mut server = serve(program)?;
            let (mut served, _) = silent_client(&server);
            server.wait_until_idle();
            server.signal(Signal::SIGTERM);
            ensure(server.comes_to_rest(), "it runs without end")?;
            let waits = server.is_running();
            ensure(waits, "it does not wait for its children")?;
            let refused = Client::try_connect(server.address).is_err();
            ensure(refused, "it still takes clients")?;
            let (answer, _) = served.ask(&get("/"));
            let whole = answer.ends_with(END);
            ensure(whole, format!("who was being served got {answer:?}"))?;
            let ended = has_ended(&mut server);
            ensure(ended, "when its children have ended it goes on")?;
            let code = server.ended().and_then(|status| status.code());
            ensure(code == Some(0), format!("its exit code is {code:?}"))?;

            let server = &serve(program)?;
            let (mut client, child) = silent_client(server);
            server.wait_until_idle();
            signal_to(child, Signal::SIGTERM as i32);
            let end = end_of(server, &mut client);
            ensure(end != End::Silent, "a child that is told to end goes on")?;
            hello(server).map(drop)
        },
    );
}

/// A request of which the application has half of the body.
const HALF: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345";

/// Whether `echoapp` has answered with a body that ends so.
fn echoes(answer: &[u8], body: &str) -> bool {
    answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(format!("\n\n{body}").as_bytes())
}

#[test]
fn time_is_up() {
    exercise(
        "time_is_up",
        "webserver3h echoapp:app",
        "its application goes on after eight seconds",
        "time_is_up echoapp:app",
        |program| {
            const SHORT: Duration = Duration::from_millis(1_500);
            const LONG: Duration = Duration::from_secs(8);
            let mut server = serve(program)?;
            let mut asks_late = server.connect();
            let began = Instant::now();
            let mut slow = server.connect();
            slow.send(HALF);
            let mut quick = server.connect();
            let (answer, _) = quick.exchange(get("/").as_bytes());
            ensure(echoes(&answer, ""), "who was quick is not answered")?;
            slow.read_until_within("no end", LONG);
            let took = began.elapsed();
            let ended = server.ended().is_some();
            ensure(!ended, "the server has ended")?;
            let goes_on = "its application goes on after eight seconds";
            ensure(took < LONG, goes_on)?;
            let early = format!("its application was ended after {took:?}");
            ensure(took > SHORT, early)?;

            // Longer than the application may take: it is not this client's time.
            thread::sleep(Duration::from_secs(3).saturating_sub(began.elapsed()));
            let (answer, _) = asks_late.exchange(get("/").as_bytes());
            let text = String::from_utf8_lossy(&answer);
            let late = format!("who took three seconds to ask got {text:?}");
            ensure(echoes(&answer, ""), late)?;
            let said = server.output_when_idle() + &server.errors();
            ensure(
                said.contains(": signal: "),
                "it does not say that a signal has ended the child",
            )?;
            let zombies = server.lasting_zombies();
            ensure(zombies == 0, format!("it leaves {zombies} zombies"))
        },
    );
}

#[test]
fn take_turns() {
    exercise(
        "take_turns",
        "webserver3h echoapp:app",
        "a client was answered during the turn of another",
        "take_turns echoapp:app",
        |program| {
            let server = &serve(program)?;
            let (_silent, _) = silent_client(server);
            server.wait_until_idle();
            let mut first = server.connect();
            first.send(get("/"));
            server.wait_until_idle();
            let answer = first.read_now();
            let holds = "a client that says nothing holds up the others";
            ensure(echoes(&answer, ""), holds)?;

            // One whose turn ends well, and one whose child is killed.
            for killed in [false, true] {
                let (mut slow, child) = silent_client(server);
                slow.send(HALF);
                server.wait_until_idle();
                let mut others = [server.connect(), server.connect()];
                for other in &mut others {
                    other.send(get("/"));
                }
                server.wait_until_idle();
                let early = others.iter_mut().any(|other| !other.read_now().is_empty());
                ensure(!early, "a client was answered during the turn of another")?;
                if killed {
                    signal_to(child, Signal::SIGKILL as i32);
                } else {
                    slow.send("67890");
                    server.wait_until_idle();
                    let answer = slow.read_now();
                    ensure(echoes(&answer, "1234567890"), "the first is not answered")?;
                }
                server.wait_until_idle();
                for other in &mut others {
                    let answer = other.read_now();
                    let after = if killed {
                        "a child was killed"
                    } else {
                        "a turn"
                    };
                    let waits = format!("after {after} the next waits on");
                    ensure(echoes(&answer, ""), waits)?;
                }
            }
            let zombies = server.lasting_zombies();
            ensure(zombies == 0, format!("it leaves {zombies} zombies"))
        },
    );
}

#[cfg(target_os = "linux")]
#[test]
fn keeps_orphans() {
    exercise(
        "keeps_orphans",
        "double_fork",
        "is not the server",
        "keeps_orphans",
        |program| {
            let server = &serve(program)?;
            for _ in 0..3 {
                let mut client = server.connect();
                // The child has ended, and the grandchild waits.
                server.wait_until_idle();
                let answer = patiently(server, client.try_send(get("/")));
                let whole = answer.ends_with(END);
                ensure(whole, format!("a client got {answer:?}"))?;
                // It has not ended yet when its client has the answer, and the server
                // may ask for the ended as soon as the next client comes.
                tests::wait_for("the end of the orphan", || {
                    let ended = server.children().iter().all(|child| child.state == 'Z');
                    ended.then_some(())
                });
            }
            let zombies = server.lasting_zombies();
            let output = server.output();
            let mut parents = output
                .lines()
                .filter_map(|line| line.split_once("parent pid "));
            let stranger = parents.find(|(_, parent)| *parent != server.pid().to_string());
            let stranger =
                stranger.map(|(_, parent)| format!("process {parent} is not the server"));
            stranger.map_or(Ok(()), Err)?;
            ensure(zombies <= 1, format!("it keeps {zombies} zombies"))
        },
    );
}

#[test]
fn asks_the_date() {
    exercise(
        "asks_the_date",
        "no_zombies",
        "a client got \"HTTP/1.1 200 OK\\n\\nHello, World!",
        "asks_the_date",
        |program| {
            let server = &serve(program)?;
            for _ in 0..3 {
                let (answer, _) = server.connect().ask(&get("/"));
                let dated = answer.contains("UTC");
                ensure(dated, format!("a client got {answer:?}"))?;
            }
            let zombies = server.lasting_zombies();
            ensure(zombies == 0, format!("it leaves {zombies} zombies"))
        },
    );
}

/// The lines about requests that a server of Part 4 has printed, by this form.
fn lines_about_requests(server: &Server, form: &str) -> Vec<Vec<String>> {
    let form = Regex::new(form).expect("it is one");
    let output = server.output_when_idle();
    let lines = output.lines().filter_map(|line| form.captures(line));
    let groups = lines.map(|found| found.iter().skip(1).flatten().map(text).collect());
    return groups.collect();

    fn text(found: regex::Match<'_>) -> String {
        found.as_str().to_string()
    }
}

#[test]
fn numbered_workers() {
    exercise(
        "numbered_workers",
        "workers_before_clients echoapp:app",
        "of 6 requests 0 have a line that begins with the number of a worker",
        "numbered_workers echoapp:app",
        |program| {
            let server = serve(&format!("{program} --workers 3"))?;
            for _ in 0..2 {
                // Each of them has a worker, and so each worker has one of them.
                let mut clients = [(); 3].map(|()| server.connect());
                for client in &mut clients {
                    client.send(HALF);
                    server.wait_until_idle();
                }
                for mut client in clients {
                    let (answer, _) = client.send("67890").read_to_end();
                    ensure(echoes(&answer, "1234567890"), "a client is not answered")?;
                }
            }
            let lines = lines_about_requests(&server, r"^worker (\d+), pid (\d+), master pid \d+$");
            let of = lines.len();
            let count =
                format!("of 6 requests {of} have a line that begins with the number of a worker");
            ensure(of == 6, count)?;
            let pairs: BTreeSet<Vec<String>> = lines.into_iter().collect();
            let numbers: BTreeSet<&str> = pairs.iter().map(|pair| &pair[0][..]).collect();
            let pids: BTreeSet<&str> = pairs.iter().map(|pair| &pair[1][..]).collect();
            let stay = "the number of a worker changes";
            ensure(pids.len() == 3 && pairs.len() <= 3, stay)?;
            let all = format!("the numbers of three workers are {numbers:?}");
            ensure(numbers.into_iter().eq(["1", "2", "3"]), all)
        },
    );
}

#[test]
fn counted_together() {
    exercise(
        "counted_together",
        "workers_before_clients echoapp:app",
        "of 5 requests 0 have a number",
        "counted_together echoapp:app",
        |program| {
            let server = serve(&format!("{program} --workers 2"))?;
            let mut slow = server.connect();
            slow.send(HALF);
            server.wait_until_idle();
            for _ in 0..3 {
                server.connect().ask(&get("/"));
            }
            let (answer, _) = slow.send("67890").read_to_end();
            ensure(echoes(&answer, "1234567890"), "a client is not answered")?;
            server.connect().ask(&get("/"));
            let form = r"^request (\d+), worker pid (\d+), master pid \d+$";
            let lines = lines_about_requests(&server, form);
            let count = format!("of 5 requests {} have a number", lines.len());
            ensure(lines.len() == 5, count)?;
            let workers: BTreeSet<&str> = lines.iter().map(|line| &line[1][..]).collect();
            ensure(workers.len() == 2, "one worker has answered them all")?;
            let numbers: Vec<&str> = lines.iter().map(|line| &line[0][..]).collect();
            let all = format!("the requests have the numbers {numbers:?}");
            ensure(numbers == ["1", "2", "3", "4", "5"], all)
        },
    );
}

#[test]
fn which_thread() {
    exercise(
        "which_thread",
        "webserver4b echoapp:app",
        "of 4 requests 0 name their thread",
        "which_thread echoapp:app",
        |program| {
            let server = serve(&format!("{program} --workers 2 --threads 2"))?;
            let mut held: Vec<Client> = (0..4).map(|_| server.connect()).collect();
            held.iter_mut().for_each(|client| _ = client.send(HALF));
            server.wait_until_idle();
            for client in &mut held {
                let (answer, _) = client.send("67890").read_to_end();
                ensure(echoes(&answer, "1234567890"), "a client is not answered")?;
            }
            let form = r"^worker pid (\d+), thread (\d+), master pid \d+$";
            let lines = lines_about_requests(&server, form);
            let count = format!("of 4 requests {} name their thread", lines.len());
            ensure(lines.len() == 4, count)?;
            let pairs: BTreeSet<[&str; 2]> = lines
                .iter()
                .map(|line| [&line[0][..], &line[1][..]])
                .collect();
            let workers: BTreeSet<&str> = pairs.iter().map(|[worker, _]| *worker).collect();
            ensure(workers.len() == 2, "one worker has answered them all")?;
            let numbers: Vec<&str> = pairs.iter().map(|[_, number]| *number).collect();
            let all = format!("the threads of a worker have the numbers {numbers:?}");
            ensure(numbers == ["1", "2", "1", "2"], all)
        },
    );
}

/// Only Linux tells how many threads a process has.
#[cfg(target_os = "linux")]
#[test]
fn threads_when_needed() {
    exercise(
        "threads_when_needed",
        "webserver4b echoapp:app",
        "there are 4 threads before the first client",
        "threads_when_needed echoapp:app",
        |program| {
            let server = serve(&format!("{program} --workers 1 --threads 3"))?;
            let threads = || {
                let worker = server.wait_until_idle();
                worker.iter().filter_map(|child| child.threads).sum::<u32>()
            };
            server.wait_for_children(1);
            let early = threads();
            let found = format!("there are {early} threads before the first client");
            ensure(early == 1, found)?;
            for _ in 0..4 {
                let (answer, _) = server.connect().exchange(get("/").as_bytes());
                ensure(echoes(&answer, ""), "a client is not answered")?;
                server.wait_until_idle();
            }
            let one = threads();
            let found = format!("{one} threads for four clients who came one after another");
            ensure(one == 2, found)?;
            let mut held: Vec<Client> = (0..4).map(|_| server.connect()).collect();
            held.iter_mut().for_each(|client| _ = client.send(HALF));
            let most = threads();
            let heads = server.output().matches("< POST ").count();
            let found = format!("of three clients that wait for something, {heads} have a thread");
            ensure(heads == 3, found)?;
            ensure(most == 4, format!("there are {most} threads at last"))?;
            for client in &mut held {
                let (answer, _) = client.send("67890").read_to_end();
                ensure(echoes(&answer, "1234567890"), "a client is not answered")?;
            }
            Ok(())
        },
    );
}

#[test]
fn too_long() {
    exercise(
        "too_long",
        "webserver4a echoapp:app",
        "its worker goes on after eight seconds",
        "too_long echoapp:app",
        |program| {
            const SHORT: Duration = Duration::from_millis(1_500);
            const LONG: Duration = Duration::from_secs(8);
            let mut server = serve(&format!("{program} --workers 1"))?;
            let first = tests::wait_for("a worker, or the server's end", || {
                let children = server.children();
                (children.len() == 1 || server.ended().is_some()).then_some(children)
            });
            ensure(server.ended().is_none(), "the server has ended")?;
            let first = first[0].pid;
            // One that has answered may sleep for longer than an answer may take.
            let (answer, _) = server.connect().exchange(get("/").as_bytes());
            ensure(echoes(&answer, ""), "nobody answers")?;
            thread::sleep(Duration::from_secs(3));
            ensure(server.ended().is_none(), "the server has ended")?;
            let still = server.wait_for_children(1)[0].pid;
            ensure(first == still, "who has nothing to do is ended, too")?;

            let mut slow = server.connect();
            let began = Instant::now();
            slow.send(HALF);
            slow.read_until_within("no end", LONG);
            let took = began.elapsed();
            ensure(server.ended().is_none(), "the server has ended")?;
            ensure(took < LONG, "its worker goes on after eight seconds")?;
            let early = format!("its worker was ended after {took:?}");
            ensure(took > SHORT, early)?;

            let mut quick = server.connect();
            let answer = quick.try_send(get("/")).read_to_end().0;
            ensure(echoes(&answer, ""), "nobody takes its place")?;
            let second = server.wait_for_children(1)[0].pid;
            ensure(first != second, "it is the same worker")?;
            let told = server.errors_when_idle();
            let signal = told.contains(&format!("worker pid {first}: signal: "));
            ensure(signal, format!("it says {told:?} of the worker"))
        },
    );
}

#[test]
fn retires() {
    exercise(
        "retires",
        "works_again echoapp:app",
        "a worker has answered 12 requests",
        "retires echoapp:app",
        |program| {
            let server = serve(&format!("{program} --workers 1"))?;
            for number in 1..=12 {
                let (answer, end) = server.connect().exchange(get("/").as_bytes());
                let served = echoes(&answer, "") && end == End::Closed;
                ensure(served, format!("client {number} was not answered"))?;
            }
            let lines = lines_about_requests(&server, r"^worker pid (\d+), master pid \d+$");
            let mut answers: Vec<(String, usize)> = Vec::new();
            for line in lines {
                match answers.last_mut() {
                    Some((pid, count)) if *pid == line[0] => *count += 1,
                    _ => answers.push((line[0].clone(), 1)),
                }
            }
            let counts: Vec<usize> = answers.iter().map(|(_, count)| *count).collect();
            let most = counts.iter().max().copied().unwrap_or_default();
            let many = format!("a worker has answered {most} requests");
            ensure(most <= 5, many)?;
            ensure(
                counts == [5, 5, 2],
                format!("the workers answered {counts:?}"),
            )?;
            let told = server.errors_when_idle();
            let failed = format!("the server takes it for a failure: {told:?}");
            ensure(told.is_empty(), failed)
        },
    );
}

#[test]
fn takes_over() {
    exercise(
        "takes_over",
        "works_again echoapp:app",
        "of 3 requests 0 have a line that begins with the number of a worker",
        "takes_over echoapp:app",
        |program| {
            let server = serve(&format!("{program} --workers 3"))?;
            // Each of three clients has a worker. The number of each, by its pid.
            let ask = |round: usize| -> Result<BTreeMap<u32, String>, String> {
                let mut clients = [(); 3].map(|()| server.connect());
                for client in &mut clients {
                    client.send(HALF);
                    server.wait_until_idle();
                }
                for mut client in clients {
                    let (answer, _) = client.send("67890").read_to_end();
                    ensure(echoes(&answer, "1234567890"), "a client is not answered")?;
                }
                let form = r"^worker (\d+), pid (\d+), master pid \d+$";
                let lines = lines_about_requests(&server, form);
                let (of, asked) = (lines.len(), 3 * round);
                let count = format!(
                    "of {asked} requests {of} have a line that begins with the number of a worker"
                );
                ensure(of == asked, count)?;
                let pid = |line: &[String]| line[1].parse().expect("it is a number");
                let last = lines[asked - 3..].iter();
                Ok(last.map(|line| (pid(line), line[0].clone())).collect())
            };
            let all = |workers: &BTreeMap<u32, String>| {
                let numbers: BTreeSet<&str> = workers.values().map(String::as_str).collect();
                let found = format!("the numbers of three workers are {numbers:?}");
                ensure(numbers.into_iter().eq(["1", "2", "3"]), found)
            };
            let first = ask(1)?;
            all(&first)?;
            let killed: Vec<u32> = first
                .iter()
                .filter(|(_, number)| *number != "2")
                .map(|(pid, _)| *pid)
                .collect();
            for pid in &killed {
                signal_to(*pid, Signal::SIGKILL as i32);
            }
            let replaced = tests::at_last(|| {
                let children = server.children();
                children.len() == 3 && children.iter().all(|child| !killed.contains(&child.pid))
            });
            ensure(
                replaced,
                "nobody takes the place of a worker that was killed",
            )?;
            let second = ask(2)?;
            all(&second)?;
            let kept = first.iter().find(|(_, number)| *number == "2");
            let kept = kept.is_some_and(|(pid, number)| second.get(pid) == Some(number));
            ensure(kept, "a worker that stays has another number")
        },
    );
}

#[test]
fn fresh_workers() {
    exercise(
        "fresh_workers",
        "webserver4a echoapp:app",
        "the server has ended",
        "fresh_workers echoapp:app",
        |program| {
            let mut server = serve(&format!("{program} --workers 2"))?;
            let mut clients = [(); 2].map(|()| server.connect());
            for client in &mut clients {
                client.send(HALF);
                server.wait_until_idle();
            }
            let old: Vec<u32> = server.children().iter().map(|child| child.pid).collect();
            server.signal(Signal::SIGHUP);
            let mut pids = || -> Result<Vec<u32>, String> {
                let rests = server.comes_to_rest();
                ensure(server.ended().is_none(), "the server has ended")?;
                ensure(rests, "it runs without end")?;
                Ok(server.children().iter().map(|child| child.pid).collect())
            };
            let both = pids()?;
            let left = old.iter().filter(|pid| both.contains(pid)).count();
            let busy = format!("of the 2 workers that were busy {left} are left");
            ensure(left == 2, busy)?;
            let new = both.len() - left;
            let new = format!("beside the 2 old ones there are {new} new ones");
            ensure(both.len() == 4, new)?;
            for mut client in clients {
                let (answer, _) = client.send("67890").read_to_end();
                ensure(echoes(&answer, "1234567890"), "a client loses its answer")?;
            }
            let fresh = pids()?;
            let many = format!("it has {} workers", fresh.len());
            ensure(fresh.len() == 2, many)?;
            let stays = fresh.iter().any(|pid| old.contains(pid));
            ensure(!stays, "an old worker stays")?;
            let (answer, _) = server.connect().exchange(get("/").as_bytes());
            ensure(echoes(&answer, ""), "a new worker does not answer")?;
            let told = server.errors_when_idle();
            ensure(told.is_empty(), format!("it complains: {told:?}"))
        },
    );
}

#[test]
fn says_how_many() {
    exercise(
        "says_how_many",
        "reads_who_is_ready",
        "it says []",
        "says_how_many",
        |program| {
            let server = serve(program)?;
            let mut told = Vec::new();
            let mut says = |number: &str| -> Result<(), String> {
                told.push(format!("{number} clients"));
                let lines = || -> Vec<String> {
                    let output = server.output();
                    let lines = output.lines().filter(|line| line.ends_with(" clients"));
                    lines.map(str::to_string).collect()
                };
                let right = lines() == told || server.comes_to_rest() && lines() == told;
                ensure(right, format!("it says {:?}, and not {told:?}", lines()))
            };
            let silent = server.connect();
            says("1")?;
            let mut asks = server.connect();
            says("2")?;
            asks.try_send(get("/")).read_to_end();
            says("1")?;
            drop(silent);
            says("0")
        },
    );
}

#[test]
fn a_second_each() {
    const PATIENCE: Duration = Duration::from_secs(1);
    exercise(
        "a_second_each",
        "reads_who_is_ready",
        "a silent client is still there after 40 visits",
        "a_second_each",
        |program| {
            // There is always somebody who has something to say. (On a busy machine
            // there may not be; then it is done again.)
            let is_left = |server: &Server| loop {
                let mut silent = server.connect();
                let mut last = Instant::now();
                let mut pause = Duration::ZERO;
                for _ in 0..40 {
                    thread::sleep(PATIENCE / 10);
                    server.connect().try_send(get("/")).read_to_end();
                    pause = pause.max(last.elapsed());
                    last = Instant::now();
                    if silent.is_closed() {
                        break;
                    }
                }
                if pause < PATIENCE * 3 / 4 {
                    return !silent.is_closed();
                }
            };
            let server = serve(program)?;
            let why = "a silent client is still there after 40 visits";
            ensure(!is_left(&server), why)?;

            let connect = |_| {
                thread::sleep(PATIENCE / 4);
                (Instant::now(), server.connect())
            };
            let clients: Vec<(Instant, Client)> = (0..4).map(connect).collect();
            for (began, mut client) in clients {
                let (_, end) = client.read_to_end();
                let given = began.elapsed();
                ensure(end == End::Closed, format!("a silent client got {end:?}"))?;
                ensure(given >= PATIENCE, format!("a client was given {given:?}"))?;
            }
            ensure(server.comes_to_rest(), "it runs although nothing happens")
        },
    );
}

#[test]
fn to_the_empty_line() {
    exercise(
        "to_the_empty_line",
        "ten_thousand",
        "half a request is answered",
        "to_the_empty_line",
        |program| {
            const FIELDS: &str = "GET / HTTP/1.1\r\nHost: x\r\n";
            let server = serve(program)?;
            let (mut first, mut second) = (server.connect(), server.connect());
            // What one has said last and the other first would be an empty line.
            first.try_send(FIELDS);
            server.wait_until_idle();
            second.try_send(format!("\r\n{FIELDS}"));
            server.wait_until_idle();
            let early = [first.read_now(), second.read_now()].concat();
            ensure(early.is_empty(), "half a request is answered")?;
            for client in [&mut first, &mut second] {
                for piece in ["\r", "\n"] {
                    client.try_send(piece);
                    server.wait_until_idle();
                }
                let answer = client.read_now();
                let answered = answer.ends_with(b"Hello, World!\n");
                ensure(answered, "a request in three pieces is not answered")?;
            }
            Ok(())
        },
    );
}

#[test]
fn oldest_first() {
    exercise(
        "oldest_first",
        "ten_thousand",
        "who comes last is not served",
        "oldest_first",
        |program| {
            let server = Setup::new(program).most_descriptors(20).start()?;
            let mut clients: Vec<Client> = (0..40).map(|_| server.connect()).collect();
            server.wait_until_idle();
            let is_served = |client: &mut Client| {
                client.try_send(get("/"));
                server.wait_until_idle();
                client.read_now().ends_with(b"Hello, World!\n")
            };
            ensure(is_served(&mut clients[39]), "who comes last is not served")?;
            ensure(clients[0].is_closed(), "the first is still there")?;
            let late = is_served(&mut clients[27]);
            ensure(late, "one who came late was hung up on")
        },
    );
}

#[test]
fn ten_and_no_more() {
    exercise(
        "ten_and_no_more",
        "ten_thousand",
        "it has 15 clients",
        "ten_and_no_more",
        |program| {
            let server = serve(program)?;
            server.wait_until_idle(); // its first line comes before all of them are open
            let before = server.descriptors();
            let mut clients: Vec<Client> = (0..15).map(|_| server.connect()).collect();
            let rests = server.comes_to_rest();
            ensure(rests, "it runs while it has its ten clients")?;
            let held = server.descriptors() - before;
            ensure(held <= 10, format!("it has {held} clients"))?;
            ensure(!clients[10].is_closed(), "the eleventh was hung up on")?;
            for number in [0, 10, 14] {
                clients[number].try_send(get("/"));
                server.wait_until_idle();
                let served = clients[number].read_now().ends_with(b"Hello, World!\n");
                ensure(
                    served == (number < 14),
                    "nobody takes the place of one who has left",
                )?;
            }
            Ok(())
        },
    );
}

#[test]
fn time_to_leave() {
    exercise(
        "time_to_leave",
        "ten_thousand",
        "the connection ended with a reset",
        "time_to_leave",
        |program| {
            const HELLO: &str = "Hello, World!\n";
            let server = serve(program)?;
            server.wait_until_idle(); // its first line comes before all of them are open
            let before = server.descriptors();
            let mut stays = server.connect();
            let answer = stays.try_send(get("/")).read_until(HELLO);
            ensure(answer.ends_with(HELLO), "a client is not answered")?;
            let why = "it runs while a client takes its time to leave";
            ensure(server.comes_to_rest(), why)?;
            let why = "the client is not told that the answer is over";
            ensure(stays.is_closed(), why)?;

            let mut says_much = server.connect();
            says_much.try_send("x".repeat(5_000));
            server.wait_until_idle();
            ensure(says_much.takes("x"), "the connection ended with a reset")?;
            let (answer, _) = says_much.read_to_end();
            ensure(answer.ends_with(HELLO.as_bytes()), "an answer is lost")?;

            drop((stays, says_much));
            server.wait_until_idle();
            let left = server.descriptors() - before;
            ensure(left == 0, format!("{left} are there that have left"))
        },
    );
}

#[test]
fn who_is_there() {
    exercise(
        "who_is_there",
        "webserver4c echoapp:app",
        "it has ended",
        "who_is_there echoapp:app",
        |program| {
            let mut server = serve(&format!("{program} --linger 1h --graceful-timeout 10ms"))?;
            let (_silent, mut half) = (server.connect(), server.connect());
            half.try_send(HALF);
            let mut leaves = server.connect();
            let (answer, _) = leaves.exchange(get("/").as_bytes());
            ensure(echoes(&answer, ""), "nobody answers")?;
            server.wait_until_idle();
            server.signal(Signal::SIGUSR1);
            let mut told = None;
            tests::at_last(|| {
                let output = server.output();
                let mut lines = output.lines().map(str::to_string);
                told = lines.find(|line| line.contains(" ask, ") && line.ends_with(" leave"));
                told.is_some() || server.ended().is_some()
            });
            ensure(server.ended().is_none(), "it has ended")?;
            let told = told.unwrap_or_default();
            ensure(
                told == "2 ask, 0 are answered, 1 leave",
                format!("it says {told}"),
            )?;
            let answer = half.try_send("67890").read_to_end().0;
            ensure(echoes(&answer, "1234567890"), "who asks is not answered")
        },
    );
}

#[test]
fn closed_for_lunch() {
    exercise(
        "closed_for_lunch",
        "webserver4c echoapp:app",
        "it has ended",
        "closed_for_lunch echoapp:app",
        |program| {
            let mut server = serve(&format!("{program} --linger 1h"))?;
            let mut inside = server.connect();
            inside.try_send(HALF);
            server.wait_until_idle();
            server.signal(Signal::SIGUSR2);
            let rests = server.comes_to_rest();
            ensure(server.ended().is_none(), "it has ended")?;
            ensure(rests, "it runs in the pause")?;
            let outside = Client::try_connect(server.address);
            let mut outside = outside.map_err(|_| "who comes in the pause is refused")?;
            outside.try_send(get("/"));
            server.wait_until_idle();
            let early = outside.read_now();
            ensure(early.is_empty(), "who comes in the pause is served")?;
            let answer = inside.try_send("67890").read_to_end().0;
            ensure(echoes(&answer, "1234567890"), "who is inside is not served")?;
            drop(inside);
            ensure(server.comes_to_rest(), "it runs in the pause")?;
            let early = outside.read_now();
            let why = "who comes in the pause is served when another leaves";
            ensure(early.is_empty(), why)?;
            server.signal(Signal::SIGUSR2);
            let answer = outside.read_to_end().0;
            ensure(echoes(&answer, ""), "the pause does not end")
        },
    );
}

/// Requests, one behind the other in pieces of different sizes, and the lines that an
/// exercise should show of each.
fn shows(program: &str, requests: &[(&str, String, String)]) -> Result<(), String> {
    let bytes: String = requests.iter().map(|(_, bytes, _)| &bytes[..]).collect();
    for size in [1000, 7, 1] {
        let story = crate::my_machine::story(program, size, bytes.as_bytes())?;
        let mut lines = story.lines();
        for (what, _, wanted) in requests {
            let shown: Vec<&str> = lines.by_ref().take(wanted.lines().count()).collect();
            let shown = shown.join("\n");
            let error = format!("{what} came as {shown:?}, in pieces of {size}");
            ensure(shown == *wanted, error)?;
        }
        let more = lines.next();
        ensure(more.is_none(), format!("behind all requests came {more:?}"))?;
    }
    Ok(())
}

#[test]
fn in_chunks() {
    exercise(
        "in_chunks",
        "my_machine",
        "this machine reads no chunks yet",
        "in_chunks",
        |program| {
            const HEAD: &str = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
            const NEXT: &str = "GET /b HTTP/1.1\r\nHost: x\r\n\r\n";
            let taken = [
                (
                    "two chunks",
                    "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
                    " \"hello!\"",
                ),
                ("no chunk", "0\r\n\r\n", ""),
                (
                    "a chunk of A bytes",
                    "A\r\n0123456789\r\n0\r\n\r\n",
                    " \"0123456789\"",
                ),
                ("an extension", "5;a=b\r\nhello\r\n0\r\n\r\n", " \"hello\""),
                (
                    "a field behind the last chunk",
                    "5\r\nhello\r\n0\r\nX: y\r\n\r\n",
                    " \"hello\"",
                ),
            ];
            let taken = taken.map(|(what, chunks, body)| {
                let wanted = format!("POST /a{body} whole\nGET /b whole");
                (what, [HEAD, chunks, NEXT].concat(), wanted)
            });
            shows(program, &taken)?;
            for (what, chunks) in [
                (
                    "a chunk that is longer than it says",
                    "2\r\nabc\r\n0\r\n\r\n",
                ),
                ("a size of +2", "+2\r\nab\r\n0\r\n\r\n"),
                ("a size of no digits", "\r\nab\r\n0\r\n\r\n"),
                ("a bare line feed", "2\nab\r\n0\r\n\r\n"),
            ] {
                let bytes = [HEAD, chunks, NEXT].concat();
                for size in [1000, 1] {
                    let story = crate::my_machine::story(program, size, bytes.as_bytes())?;
                    let refused = story.contains(" 400 ") && !story.contains("GET /b");
                    ensure(refused, format!("{what} came as {story:?}"))?;
                }
            }
            Ok(())
        },
    );
}

#[test]
fn last_request() {
    exercise(
        "last_request",
        "my_machine",
        "Connection: close",
        "last_request",
        |program| {
            let head = "POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
            let bytes = format!("{head}Content-Length: 2\r\n\r\nab");
            let wanted = "POST /a \"ab\" whole".to_string();
            shows(program, &[("the body of the last request", bytes, wanted)])?;
            let last = "POST /a whole";
            let more = "POST /a whole\nGET /b whole";
            for (version, fields, wanted) in [
                ("1.1", "Connection: close\r\n", last),
                ("1.1", "Connection: Close\r\n", last),
                ("1.1", "Connection: upgrade, close\r\n", last),
                ("1.1", "Connection: upgrade\r\nConnection: close\r\n", last),
                ("1.1", "Connection: closed\r\n", more),
                ("1.1", "", more),
                ("1.0", "", last),
                ("1.0", "Connection: Keep-Alive\r\n", more),
                ("1.0", "Connection: keep-alive, close\r\n", last),
            ] {
                let head = format!("POST /a HTTP/{version}\r\nHost: x\r\n{fields}");
                let fields = fields.trim_end().replace("\r\n", " and ");
                let what = format!("what follows a request of HTTP/{version} with {fields:?}");
                let bytes = format!("{head}\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
                let story = crate::my_machine::story(program, 7, bytes.as_bytes())?;
                ensure(story == wanted, format!("{what} came as {story:?}"))?;
            }
            Ok(())
        },
    );
}

/// A POST of these bytes to a server that keeps its connection.
fn post(body: &[u8], fields: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{fields}");
    [head.as_bytes(), b"\r\n", body].concat()
}

#[test]
fn echoes_bodies() {
    exercise(
        "echoes_bodies",
        "in_time",
        "got \"Hello, World!",
        "echoes_bodies",
        |program| {
            let server = &serve(program)?;
            let close = "Connection: close\r\n";
            let (bytes, end) = server.connect().exchange(&post(b"first\n", close));
            let first = Answer::parse(&bytes, end)?;
            ensure(
                first.body == b"first\n",
                format!("the first got {:?}", first.text()),
            )?;
            let two = [post(b"one\n", ""), post(b"two\n", close)].concat();
            let (bytes, _) = server.connect().exchange(&two);
            let text = String::from_utf8_lossy(&bytes);
            let second = text.rsplit("\r\n\r\n").next().unwrap_or_default();
            ensure(
                second == "two\n",
                format!("the second answer of a connection is {second:?}"),
            )?;
            let long = b"in two pieces".repeat(1000); // more than is read at once
            let (bytes, end) = server.connect().exchange(&post(&long, close));
            let answer = Answer::parse(&bytes, end)?;
            let length = answer.body.len();
            ensure(
                answer.body == long,
                format!("a body in two pieces, of 13,000 bytes, got {length}"),
            )?;
            let (bytes, end) = server.connect().exchange(&post(b"\xff\x00\xfe", close));
            let answer = Answer::parse(&bytes, end)?;
            ensure(
                answer.body == b"\xff\x00\xfe",
                format!("bytes that are no text got {:?}", answer.body),
            )
        },
    );
}

#[test]
fn three_and_out() {
    exercise(
        "three_and_out",
        "in_time",
        "5 answers",
        "three_and_out",
        |program| {
            let server = &serve(program)?;
            let requests = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(5);
            for client in ["one client", "the next client"] {
                let (bytes, end) = server.connect().exchange(requests.as_bytes());
                let text = String::from_utf8_lossy(&bytes);
                let answers: Vec<&str> = text.split("HTTP/1.1 ").skip(1).collect();
                let count = answers.len();
                ensure(count == 3, format!("{client} got {count} answers"))?;
                let says = |answer: &&str| answer.contains("\r\nConnection: close\r\n");
                let (last, before) = answers.split_last().ok_or("no answer")?;
                ensure(
                    says(last),
                    "the third answer does not say that it is the last",
                )?;
                ensure(
                    !before.iter().any(says),
                    "an answer before the third says that it is the last",
                )?;
                ensure(
                    end == End::Closed,
                    format!("the connection ended with {end:?}"),
                )?;
            }
            Ok(())
        },
    );
}

/// What the answer of `wsgiapp:app` ends with.
const GREETING: &str = " WSGI application!\n";

/// How many requests a connection has brought, as the program says it when it is over.
fn requests_of(server: &Server, client: Client) -> String {
    let start = format!("{}: ", client.address());
    drop(client);
    wait_for("the line about a connection", || {
        let output = server.output();
        let line = output.lines().find_map(|line| line.strip_prefix(&start))?;
        Some(line.strip_suffix(" requests").unwrap_or(line).to_string())
    })
}

#[test]
fn counts_requests() {
    exercise(
        "counts_requests",
        "one_chunk_a_turn wsgiapp:app",
        "it says nothing of a connection",
        "counts_requests wsgiapp:app",
        |program| {
            let server = &serve(program)?;
            let mut client = server.connect();
            client.try_send(get("/").repeat(2)).read_until(GREETING);
            client.read_until(GREETING);
            client.try_send(get("/")).read_until(GREETING);
            let start = format!("{}: ", client.address());
            drop(client);
            let says = || server.output().contains(&start);
            let said = server.comes_to_rest() && says();
            ensure(said, "it says nothing of a connection")?;
            let output = server.output();
            let count = output.lines().find_map(|line| line.strip_prefix(&start));
            let count = count.unwrap_or_default();
            ensure(
                count == "3 requests",
                format!("of three requests it counts {count}"),
            )?;
            let count = requests_of(server, server.connect());
            ensure(count == "0", format!("of no request it counts {count}"))?;
            let mut client = server.connect();
            client
                .try_send(get("/") + "nonsense\r\n\r\n")
                .read_until("no words");
            let count = requests_of(server, client);
            let told = format!("of one request and a refusal it counts {count}");
            ensure(count == "1", told)
        },
    );
}

#[test]
fn ten_each() {
    exercise(
        "ten_each",
        "one_chunk_a_turn wsgiapp:app",
        "the eleventh is served",
        "ten_each wsgiapp:app",
        |program| {
            let server = &serve(program)?;
            let mut clients: Vec<Client> = (0..10).map(|_| server.connect()).collect();
            server.wait_until_idle();
            let served = |client: &mut Client| client.try_send(get("/")).read_until(GREETING);
            let mut eleventh = server.connect();
            let answer = served(&mut eleventh);
            ensure(answer.is_empty(), "the eleventh is served")?;
            let answer = if has_tool("nc") {
                let mut nc = std::process::Command::new("nc");
                let nc = nc.args(["-N", "-s", "127.0.0.2", "127.0.0.1"]);
                let nc = nc
                    .arg(server.address.port().to_string())
                    .stdin(Stdio::piped());
                let nc = nc.stdout(Stdio::piped()).spawn();
                let mut nc = nc.map_err(|error| format!("nc: {error}"))?;
                let request = get("/").replacen("\r\n", "\r\nConnection: close\r\n", 1);
                let sent = nc
                    .stdin
                    .take()
                    .map(|mut input| input.write_all(request.as_bytes()));
                sent.transpose().map_err(|error| format!("nc: {error}"))?;
                let output = nc.wait_with_output();
                let output = output.map_err(|error| format!("nc: {error}"))?;
                String::from_utf8_lossy(&output.stdout).into_owned()
            } else {
                left_out("clients of another address", "nc");
                GREETING.to_string()
            };
            let told = "a client of another address is not served";
            ensure(answer.ends_with(GREETING), told)?;
            let answer = served(&mut clients[9]);
            ensure(answer.ends_with(GREETING), "the tenth is not served")?;
            clients.pop();
            server.wait_until_idle();
            let answer = served(&mut server.connect());
            let told = "nobody takes the place of one who has left";
            ensure(answer.ends_with(GREETING), told)
        },
    );
}

#[test]
fn whole_life() {
    exercise(
        "whole_life",
        "webserver4d wsgiapp:app",
        "an old connection is kept",
        "whole_life wsgiapp:app",
        |program| {
            let server = &serve(program)?;
            let mut client = server.connect();
            let begun = Instant::now();
            let mut asks = 0;
            loop {
                let young = begun.elapsed();
                let answer = client.try_send(get("/")).read_until(GREETING);
                ensure(
                    answer.ends_with(GREETING),
                    "an old connection is hung up on",
                )?;
                asks += 1;
                if answer.contains("\r\nConnection: close\r\n") {
                    let old = begun.elapsed() >= Duration::from_millis(500);
                    return ensure(asks > 1 && old, "a young connection is not kept");
                }
                // It had its time before it asked, and some more.
                ensure(young.as_secs() < 2, "an old connection is kept")?;
                thread::sleep(Duration::from_millis(100));
            }
        },
    );
}

#[test]
fn no_more_than_three() {
    exercise(
        "no_more_than_three",
        "webserver4d wsgiapp:app",
        "5 answers",
        "no_more_than_three wsgiapp:app",
        |program| {
            let server = &serve(program)?;
            let requests =
                get("/").repeat(4) + &get("/").replacen("\r\n", "\r\nConnection: close\r\n", 1);
            for client in ["one client", "the next client"] {
                let (bytes, end) = server.connect().exchange(requests.as_bytes());
                let text = String::from_utf8_lossy(&bytes);
                let answers: Vec<&str> = text.split("HTTP/1.1 ").skip(1).collect();
                let count = answers.len();
                ensure(count == 3, format!("{client} got {count} answers"))?;
                let says = |answer: &&str| answer.contains("\r\nConnection: close\r\n");
                let last = answers.last().is_some_and(says);
                ensure(last, "the third answer does not say that it is the last")?;
                ensure(
                    end == End::Closed,
                    format!("the connection ended with {end:?}"),
                )?;
            }
            Ok(())
        },
    );
}

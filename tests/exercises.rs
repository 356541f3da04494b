//! The exercises: each test fails on the program that the exercise starts from
//! and passes on its solution. To try your own:
//!
//! ```sh
//! PROGRAM=/path/to/your/program cargo test --test exercises NAME
//! ```
//!
//! `PROGRAM` may also be the name of a program of the course.

use nix::sys::signal::Signal;
use std::net::TcpListener;
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

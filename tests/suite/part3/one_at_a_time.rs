//! One client at a time, and a queue behind it.

use super::{servers, ANSWER};
use std::process::Command;
use tests::client::{fill_queue, get, End};
use tests::experiments::END;
use tests::left_out;
use tests::server::{run_to_end, Server};

/// Linux lets one more in than `listen` was told, and other systems round up.
#[test]
fn the_queue_of_3a_is_five() {
    let server = Server::start("webserver3a");
    let silent = server.connect();
    server.wait_until_idle();
    let waiting = fill_queue(server.address, 5, 8);
    drop((silent, waiting));
    let answer = server.connect().send(get("/")).read_until(END);
    assert_eq!(answer, ANSWER);
}

#[test]
fn the_second_client_waits_with_3b_and_not_with_3c() {
    for (program, waits) in [("webserver3b", true), ("webserver3c", false)] {
        let server = Server::start(program);
        let mut first = server.connect();
        let answer = first.send(get("/")).read_until(END);
        assert_eq!(answer, ANSWER, "{program}");
        let mut second = server.connect();
        second.send(get("/"));
        server.wait_until_idle();
        let early = second.read_now();
        assert_eq!(early.is_empty(), waits, "{program}");
        // The nap holds the first connection open.
        assert_eq!(first.read_soon().1, End::Silent, "{program}");
    }
}

/// As many connections may wait as the program asks for; the system has a limit too.
#[test]
fn each_server_asks_for_the_queue_that_its_listing_names() {
    if !tests::has_tool("ss") || !std::path::Path::new("/proc/sys/net/core/somaxconn").exists() {
        return left_out("how long the queues are", "ss");
    }
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let most: u32 = most.trim().parse().unwrap();
    for program in servers() {
        let asked = match program.as_str() {
            "webserver3a" | "webserver3b" | "nap_after_closing" | "not_alone" => 5,
            _ => 4096, // SOMAXCONN, on Linux
        };
        let server = Server::start(&program);
        let port = format!("sport = :{}", server.address.port());
        let (_, output, errors) = run_to_end(Command::new("ss").args(["-ltnH", &port]));
        let queue = output.split_whitespace().nth(2).map(str::parse);
        assert_eq!(
            queue,
            Some(Ok(asked.min(most))),
            "{program}: {output}{errors}"
        );
    }
}

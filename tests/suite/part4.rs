//! What Part 4 says of its servers, one test for each claim.

#[cfg(target_os = "linux")]
pub(crate) mod http1_server;
#[cfg(target_os = "linux")]
mod readiness;
mod stopping;
mod supervision;
mod threads;
mod workers;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tests::client::{get, Client};
use tests::processes::{self, Process};
use tests::server::Server;
use tests::wait_for;

/// An application that waits for the rest of a body.
const ECHO: &str = "webserver4a validator:echoapp:app";

/// Half of a request: whoever reads it waits for the rest.
const HALF: &str = "POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345";
const REST: &str = "67890";

/// What the answer to both ends with.
const ECHOED: &[u8] = b"\n\n1234567890";

fn send(pid: u32, signal: Signal) {
    let sent = kill(Pid::from_raw(pid as i32), signal);
    sent.unwrap_or_else(|errno| panic!("send {signal} to {pid}: {errno}"));
}

/// The workers of a server, when it has that many that have not ended.
fn workers(server: &Server, number: usize) -> Vec<u32> {
    wait_for(&format!("{number} workers"), || {
        let children = server.children();
        let alive = |child: &Process| child.state != 'Z';
        let all = children.len() == number && children.iter().all(alive);
        all.then(|| children.iter().map(|child| child.pid).collect())
    })
}

/// Connects a client that says half of its request, and gives the worker that waits for
/// the rest.
fn held(server: &Server) -> (Client, u32) {
    let before = server.output().len();
    let mut client = server.connect();
    client.send(HALF);
    let pid = wait_for("the line about the request", || {
        let output = server.output();
        let (line, _) = output[before..].split_once("/held ")?;
        let (pid, _) = line.rsplit_once(", master pid ")?;
        let (_, pid) = pid.rsplit_once("worker pid ")?;
        Some(pid.parse().expect("it is a number"))
    });
    (client, pid)
}

/// Whether a process of that number runs: a zombie does not.
fn is_alive(pid: u32) -> bool {
    !matches!(processes::state(pid), None | Some('Z'))
}

fn assert_serves(server: &Server) {
    let (answer, _) = server.connect().ask(&get("/"));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// The numbers of `epoll_wait` and `epoll_pwait`, of `poll` and `ppoll`, as machines number
/// them.
#[cfg(target_os = "linux")]
const EPOLL_WAIT: [&str; 4] = ["232", "281", "22", "441"];
#[cfg(target_os = "linux")]
const POLL: [&str; 3] = ["7", "271", "73"];

/// Waits until a process sleeps in one of these calls, for as long as nothing happens: it
/// makes no call before something does. The time is this argument of the call.
#[cfg(target_os = "linux")]
fn wait_for_sleep_without_end(pid: u32, calls: &[&str], argument: usize) {
    wait_for("a sleep without end", || {
        let call = std::fs::read_to_string(format!("/proc/{pid}/syscall"));
        let call = call.expect("it is our child");
        let words: Vec<&str> = call.split_whitespace().collect();
        let waits = calls.contains(&words[0]) && words.len() > argument;
        // An int, -1; or for ppoll no struct of a time.
        let without_end = match words[0] {
            "271" | "73" => "0x0",
            _ => "ffffffff",
        };
        (waits && words[argument].ends_with(without_end)).then_some(())
    });
}

//! Measures the servers of the course, and servers that others wrote, on one
//! machine in one run.
//!
//! ```sh
//! cargo run --release -p bench -- --json code/bench/runs/today.json
//! ```
//!
//! Every server is a row of `servers.toml`. Each is built, started on a free
//! port of the loopback interface, and asked once: an answer other than
//! `200` with the row's body is an error. Then all of them are warmed up, and
//! measured in turn, A B C, A B C, ..., so that a slow minute of the machine
//! falls on all alike. The report gives medians, and ratios to one row.
//!
//! # What the figures are
//!
//! *Answers a second* with as many load processes as the machine has cores.
//! The load is made on the same machine as the answers, and where a server does
//! little for a connection, the client's side costs more than the server's. One
//! load process is then at its limit long before the server: `webserver1` used
//! 0.4 of a core when one `ab` used all of another, and a server that needed
//! twice as much would have shown the same rate. With a load process for each
//! core, something always waits for a turn, and what a server costs is seen. The
//! rate still contains the client's cost, so the report has a second figure
//! beside it: the *processor time of the server for an answer*, that of the
//! children it has waited for included, from `/proc`, with a resolution of a
//! hundredth of a second in a round. It has two parts, in the server's own code and
//! in the kernel. The figure is of all processes of the server's group; children that
//! the kernel reaps by itself (`SIGCHLD` ignored) are not in it.
//!
//! *New connections, kept connections, pipelined requests* (`--connection`): a row
//! says how its server is asked, and a server that keeps connections can be asked in
//! each of the three ways. Pipelined requests come 16 at a time, and the next 16 when
//! all of them are answered.
//!
//! *Resident bytes for a silent client* (`--silent N`): before the first round, N
//! clients connect to each server in turn and say nothing. When the server has
//! accepted those that it can, and two looks in a row have seen the same, its memory
//! has grown by so much for each. It is the sum of `Pss_Anon` and `Pss_Shmem` of its
//! processes: pages of no file, and those that several share are counted once. The
//! kernel's own memory for a connection is not in it. Where no client waits in the
//! kernel's queue, an answer to one more client is timed beside them.
//!
//! *Latencies at a fixed rate* (`--rate N`): percentiles from the moment at which each
//! request was due, whether or not it could be sent then, and beside them those from
//! the moment at which it was sent; the module `steady` says what lies between them.
//!
//! Each server has a session of its own, as a service manager would give it one,
//! and the load processes share the bench's. Linux divides the processors
//! between sessions before it divides them between processes
//! (`sched_autogroup`), so the load, which is several processes where a server is
//! one, does not crowd it out.
//!
//! A server's output goes to `/dev/null`: a program that prints its requests
//! still makes the system call, and no terminal's speed is measured.
//!
//! # Why ab
//!
//! The answers of the series have bare line feeds and no length; the close of the
//! connection is their end. These are the figures of `webserver1` (such answers)
//! and `smallest_answer` (CRLF, `Content-Length`, `Connection: close`), which do
//! the same work, under four tools, 32 connections, on two cores:
//!
//! | tool | webserver1 | smallest_answer | |
//! | --- | --- | --- | --- |
//! | wrk 4.1.0 | 32,800 | 56,800 | a read error for each answer of webserver1 |
//! | h2load 1.52 `--h1` | 0 | - | no answer of webserver1 ever ends |
//! | hey 0.1.4 | 31,400 | 30,700 | right, but uses more than a core and a half itself |
//! | ab 2.3 | 54,500 | 54,700 | no errors |
//!
//! wrk takes the close for an error after it has counted the answer, and opens a
//! second connection for nothing: its figure is off by nearly half. So
//! connections that close are measured with `ab` (Debian: apache2-utils), which
//! takes a blank line of bare line feeds, reads to the close, and checks each
//! answer's status and length. It speaks HTTP/1.0, with `Connection: close`.
//! Connections that are kept alive need a length anyway, and are measured with
//! `wrk`: `ab -k` asks in a way (HTTP/1.0, `Keep-Alive`) that many servers
//! refuse. Rates of the two tools are not compared without a word about it.
//!
//! # Why a client of our own for a fixed rate
//!
//! Neither `ab` nor `wrk` has a rate. wrk2 has one, but Debian does not package it, and
//! its README gives a millisecond as the accuracy of its latencies, which is more than
//! most answers take here. `oha`, of crates.io, counts from the time a request was due
//! (`-q` and `--latency-correction`). It brings tokio, hyper, TLS, a resolver and a screen
//! of its own, minutes of compiling for whoever wants one figure, and what its runtime
//! needs for a request would share two cores with what is measured. What is needed of it
//! here is a list of due times and threads that sleep until the next. All latencies are
//! kept, so the percentiles are exact.
//!
//! # What is left behind
//!
//! Nothing. Each server and each load process leads a process group; the group
//! is killed when it is no longer needed, after an error, and on Ctrl-C, and its
//! orphans are reaped here. Should the bench itself be killed, the kernel kills
//! the leaders; their children must notice by themselves.

#![deny(missing_docs)]

pub mod figure;
pub mod record;
pub mod table;

#[cfg(target_os = "linux")]
pub mod answer;
#[cfg(target_os = "linux")]
pub mod load;
#[cfg(target_os = "linux")]
pub mod machine;
#[cfg(target_os = "linux")]
pub mod processes;
#[cfg(target_os = "linux")]
pub mod silent;
#[cfg(target_os = "linux")]
pub mod steady;

use std::io::Write;
use std::path::{Path, PathBuf};

/// Prints a line on the standard error, if anybody reads it: `eprintln!` would panic.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The top of the repository that this package stands in.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_path_buf()
}

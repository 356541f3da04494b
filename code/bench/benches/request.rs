//! What the gateway costs: a request with one field, and an answer of one chunk.
//!
//!     cargo bench -p bench
//!
//! Each step alone, then all of them: what a server that keeps its connections
//! spends here, besides its calls to the kernel.

use divan::{black_box, Bencher};
use gateway::http::{read_head, Head, Limits, RequestBody};
use gateway::{headers, respond, Body, Environ, Result, StartResponse};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: localhost:8888\r\n\r\n";
const LIMITS: Limits = Limits::DEFAULT;
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8888);
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 54321);

fn main() {
    divan::main();
}

fn app(_environ: Environ, mut start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", headers([("Content-Type", "text/plain")]))?;
    Ok(Body::from("Hello, World!\n"))
}

#[divan::bench]
fn find_the_head() -> Vec<u8> {
    read_head(&mut black_box(REQUEST), &LIMITS).unwrap()
}

#[divan::bench]
fn parse(bencher: Bencher) {
    bencher.bench(|| Head::parse(black_box(REQUEST), &LIMITS).unwrap());
}

#[divan::bench]
fn environ(bencher: Bencher) {
    let head = Head::parse(REQUEST, &LIMITS).unwrap();
    bencher.bench(|| environ_of(black_box(&head)));
}

#[divan::bench]
fn answer(bencher: Bencher) {
    let head = Head::parse(REQUEST, &LIMITS).unwrap();
    bencher
        .with_inputs(|| environ_of(&head))
        .bench_values(|environ| respond(&app, environ, io::sink()));
}

#[divan::bench]
fn all() {
    let bytes = read_head(&mut black_box(REQUEST), &LIMITS).unwrap();
    let head = Head::parse(&bytes, &LIMITS).unwrap();
    let outcome = respond(&app, environ_of(&head), io::sink());
    assert!(outcome.error.is_none());
}

fn environ_of(head: &Head) -> Environ {
    let body = RequestBody::new(io::empty(), head.framing, &LIMITS);
    let mut environ = head.environ(Box::new(body));
    environ.add_connection(SERVER, "bench", PEER);
    environ
}

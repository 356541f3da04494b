//! What ten thousand requests leave behind.

use super::ONE;
use std::fs;
use tests::client::{get, End};
use tests::left_out;
use tests::python::{can_check, Site};

#[test]
fn ten_thousand_requests_leave_nothing_behind() {
    if !can_check("memory after 10,000 requests") {
        return;
    }
    if !std::path::Path::new("/proc/self/status").exists() {
        return left_out("memory after 10,000 requests", "/proc");
    }
    for (application, request) in [
        ("python:wsgiapp:app", get("/greet")),
        ("flaskapp:app", get("/visits")),
        ("probes:raises", get("/")),
        ("probes:breaks", get("/")),
        (
            "probes:echo",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".to_string(),
        ),
    ] {
        let site = Site::new();
        let server = site.serve(ONE, &[application]);
        let ask = |count: usize| {
            for _ in 0..count {
                let (answer, end) = server.connect().ask(&request);
                assert!(answer.starts_with("HTTP/1.1 "), "{application}: {answer}");
                assert_eq!(end, End::Closed, "{application}");
            }
        };
        ask(500);
        let before = resident(server.pid());
        ask(10_000);
        let after = resident(server.pid());
        let growth = after.saturating_sub(before);
        tests::say(&format!(
            "{application}: {before} kB, and {growth} kB more after 10,000 requests"
        ));
        assert!(growth < 2048, "{application}: {growth} kB more");
    }
}

/// Memory of a process that stands in real memory, in kB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("Linux tells it")
}

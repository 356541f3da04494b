//! Python in processes that stay.

use super::STAYING;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::{json, Value};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use tests::processes::Process;
use tests::python::{can_check, Site, Visitor};
use tests::server::Server;
use tests::wait_for;

/// The workers, when there are two that have not ended.
fn two_workers(server: &Server) -> BTreeSet<u64> {
    wait_for("two workers", || {
        let alive = |child: &&Process| child.state != 'Z';
        let children = server.children();
        let pids: BTreeSet<u64> = children
            .iter()
            .filter(alive)
            .map(|child| child.pid.into())
            .collect();
        (pids.len() == 2).then_some(pids)
    })
}

/// Each worker is a whole interpreter that remembers, and so is one that takes the place
/// of another; the threads that the application has begun before are the master's.
#[test]
fn a_worker_is_replaced_with_its_interpreter() {
    if !can_check("workers with Python inside") {
        return;
    }
    for application in ["probes:interpreter", "probes:with_background_thread()"] {
        let site = Site::new();
        let mut server = site.serve(STAYING, &[application, "--workers", "2"]);
        let before = two_workers(&server);
        let asked = |server: &Server| -> Value {
            let answer = Visitor::new(server).get("/").json();
            assert_eq!(answer["threads"], json!(["MainThread"]), "{application}");
            assert_eq!(answer["main"], true);
            assert_eq!(answer["thread"], json!(["ran"]));
            assert_eq!(answer["subprocess"], "1\n");
            let hooks = answer["hooks"].as_array().expect("a list");
            assert_eq!(hooks.last(), Some(&json!("child")), "{application}");
            answer
        };
        let mut answers = std::collections::BTreeMap::<u64, u64>::new();
        for _ in 0..10 {
            let answer = asked(&server);
            let pid = answer["pid"].as_u64().expect("a number");
            assert!(before.contains(&pid), "{application}");
            // It counts its own requests.
            let count = answers.entry(pid).or_default();
            assert_eq!(answer["requests"], *count, "{application}");
            *count += 1;
        }
        for victim in &before {
            kill(Pid::from_raw(*victim as i32), Signal::SIGKILL).expect("it is ours");
            wait_for("its end", || {
                let children = server.children();
                let gone = children.iter().all(|child| u64::from(child.pid) != *victim);
                gone.then_some(())
            });
        }
        let after = two_workers(&server);
        assert!(before.is_disjoint(&after), "{before:?}, {after:?}");
        let answer = asked(&server);
        assert!(after.contains(&answer["pid"].as_u64().expect("a number")));
        assert_eq!(answer["requests"], 0, "{application}");

        let told = kill(Pid::from_raw(server.pid() as i32), Signal::SIGTERM);
        told.expect("it is ours");
        let status = wait_for("the server's end", || server.ended());
        assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
        let group = tests::processes::group(server.pid());
        assert!(group.iter().all(|process| process.pid == server.pid()));
    }
}

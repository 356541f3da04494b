//! A page with twenty pictures, over the connections that a browser keeps.

use super::{chromium, Browser};
use std::collections::BTreeSet;
use std::fs;
use tests::server::Setup;
use tests::{has_tool, left_out, processes, wait_for};

/// Chromium sends requests over at most six connections to a server at a time.
const MOST: usize = 6;

#[test]
fn twenty_pictures_come_over_a_few_connections() {
    let Some(chromium) = chromium() else {
        return left_out("a page with twenty pictures", "Chromium");
    };
    if !has_tool("strace") {
        return left_out("the connections of a browser", "strace");
    }
    let trace = std::env::temp_dir().join(format!("course-pictures-{}", std::process::id()));
    let file = trace.to_str().expect("it is text");
    let program = crate::changed("pictures");
    let program = program.to_str().expect("it is text");
    let strace = [
        "strace",
        "-qq",
        "-e",
        "accept4",
        "-e",
        "signal=none",
        "-o",
        file,
    ];
    // No word behind it is an application: it has one.
    let arguments = "--keep-alive 3s --head-timeout 3s";
    let setup = Setup::new(&format!("{program} pictures {arguments}")).under(&strace);
    let server = setup.start().unwrap_or_else(|error| panic!("{error}"));
    let [traced] = &server.children()[..] else {
        panic!("strace runs one program");
    };
    let descriptors = || processes::descriptors(traced.pid).expect("it runs");
    let before = descriptors();

    let url = format!("http://{}/", server.address);
    let browser = Browser::start(&chromium, "pictures", &[&url]);
    let widths: Vec<String> = (101..=120).map(|width| width.to_string()).collect();
    let loaded = format!("/loaded?{}\n", widths.join("+"));
    wait_for("all pictures in the browser", || {
        server.errors().contains(&loaded).then_some(())
    });
    // Nothing is done for connections that are kept.
    assert!(server.comes_to_rest());
    let (kept, lines) = (descriptors() - before, server.errors());
    let requests: Vec<(&str, &str)> = lines
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    let paths: BTreeSet<&str> = requests.iter().map(|(_, path)| *path).collect();
    assert_eq!((requests.len(), paths.len()), (22, 22), "{lines}");
    let ports: BTreeSet<&str> = requests.iter().map(|(port, _)| *port).collect();
    let calls = fs::read_to_string(&trace).expect("strace has made it");
    let accepted = calls
        .lines()
        .filter(|line| line.contains(") = ") && !line.contains(" = -1 "));
    let accepted = accepted.count();
    assert!(ports.len() <= MOST, "{} asked: {lines}", ports.len());
    // It opens connections for what it may yet ask for, too. Where nothing comes over them, they
    // go when it closes them or with the deadline of their head.
    assert!(
        ports.len() <= accepted && accepted <= 2 * MOST,
        "{accepted} accepted: {lines}"
    );
    assert!(kept <= accepted, "{kept} are there of {accepted}");

    // And when their time is over, they go.
    wait_for("the end of the connections", || {
        (descriptors() == before).then_some(())
    });
    drop((browser, server));
    let _ = fs::remove_file(trace);
}

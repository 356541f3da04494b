//! What a page may say that did not come: nothing. A lie is planted in each kind of
//! line that varies, and refused; and what another machine would say passes.

use tests::comparison::{Known, Shown};

fn fits(page: &str, command: &str, came: &str) -> bool {
    let shown = Shown::new(page, Some(command));
    shown.fits(came, &Known::default()).is_some()
}

#[track_caller]
fn passes(page: &str, command: &str, came: &str) {
    let difference = Shown::new(page, Some(command)).difference(came, "here");
    assert!(fits(page, command, came), "{difference}");
    // Whatever passes is what the page itself would be, or the page is none.
    assert!(fits(page, command, page), "not even itself: {page}");
}

#[track_caller]
fn is_refused(page: &str, command: &str, came: &str) {
    assert!(!fits(page, command, came), "{page:?} passes for {came:?}");
}

#[test]
fn a_process_that_a_command_names_is_the_one_that_was_shown() {
    let page = "Serving\nprocess 21007\n";
    let shown = Shown::new(page, Some("x"));
    let known = shown.fits("Serving\nprocess 712\n", &Known::default());
    let known = known.expect("it is the number that varies");
    assert_eq!(known.here("ls /proc/21007/fd"), "ls /proc/712/fd");
    assert_eq!(known.here("kill 2100 121007"), "kill 2100 121007");
    assert!(shown.fits("Serving\nprocess 713\n", &known).is_none());
    is_refused(page, "x", "Serving\nchild 712\n");

    for (command, stranger) in [
        ("kill 21007", None),
        ("sleep 0.2; kill -KILL 21007 21007", None),
        ("kill -s TERM -- -21007", None),
        (
            "curl -s http://127.0.0.1:8888/ | { read one; kill 21007; cat; }",
            None,
        ),
        ("kill -STOP %1; kill $!; ps 21008", None),
        ("kill -9 $ZOMBIE; kill -0 %1", None),
        ("kill 21008", Some("21008")),
        ("kill -9 21007 21008", Some("21008")),
        ("kill -s TERM 21008", Some("21008")),
        ("kill -- -21008", Some("21008")),
        ("(sleep 1; kill -CONT 21008) & true", Some("21008")),
    ] {
        assert_eq!(known.stranger(command).as_deref(), stranger, "{command}");
    }
}

#[test]
fn process_1_is_process_1_and_stands_for_no_other() {
    is_refused("process 1\n", "x", "process 712\n");
    let shown = Shown::new("parent pid 1\n", Some("x"));
    let known = shown.fits("parent pid 712\n", &Known::default());
    let known = known.expect("orphans may be given to another");
    let shown = Shown::new("process 1\n", Some("x"));
    assert!(shown.fits("process 1\n", &known).is_some());
}

const VERBOSE: &str = "\
*   Trying 127.0.0.1:8888...
* Connected to 127.0.0.1 (127.0.0.1) port 8888 (#0)
> GET /hello HTTP/1.1
> User-Agent: curl/7.88.1
* Operation timed out after 1001 milliseconds with 0 bytes received
* Closing connection 0
curl: (28) Operation timed out after 1001 milliseconds with 0 bytes received
";

#[test]
fn remarks_of_curl_are_the_page_s_or_a_known_variant() {
    let later = VERBOSE.replace("8888 (#0)", "8888");
    let later = later.replace("* Closing connection 0", "* Closing connection");
    let later = later.replace("7.88.1", "8.10.0").replace("1001", "1002");
    let later = later.replace("> GET", "* using HTTP/1.x\n> GET");
    passes(VERBOSE, "curl -v x", &later);
    for (true_line, lie) in [
        ("*   Trying 127.0.0.1:8888...\n", ""),
        ("*   Trying 127.0.0.1:8888...", "* Nobody is there at all"),
        ("port 8888 (#0)", "port 80 (#0)"),
        ("* Connected to 127.0.0.1", "* Connected to example.com"),
        ("* Closing connection 0", "* Keeping connection 0"),
        ("with 0 bytes", "with 14 bytes"),
        ("timed out after 1001", "timed out after 12001"),
        ("timed out after 1001", "timed out after 3"),
        ("curl: (28)", "curl: (56)"),
        ("curl/7.88.1", "wget/7.88.1"),
        ("curl/7.88.1", "curl/of today"),
    ] {
        let page = VERBOSE.replace(true_line, lie);
        assert_ne!(page, VERBOSE, "{true_line}");
        is_refused(&page, "curl -v x", VERBOSE);
        is_refused(VERBOSE, "curl -v x", &page);
    }
    is_refused("* Nobody is there at all\nHello\n", "curl -v x", "Hello\n");
    is_refused("== Info: Nobody is there\n", "curl --trace - x", "");
    is_refused(
        "Hello\n",
        "curl -v x",
        "* a remark that nobody knows\nHello\n",
    );
}

#[test]
fn an_error_is_that_error_on_every_system() {
    let error = |number| format!("bind x: Address already in use (os error {number})\n");
    passes(&error("98"), "x", &error("48"));
    for other in ["13", "99", "104", "4"] {
        is_refused(&error(other), "x", &error("98"));
    }
    let broken = "127.0.0.1:60062: Broken pipe (os error 32)\n";
    passes(broken, "x", "127.0.0.1:33333: Broken pipe (os error 32)\n");
    is_refused(broken, "x", "127.0.0.1:60062: Broken pipe (os error 104)\n");
    let refused = "curl: (7) Failed to connect to ::1 port 8888 after 0 ms: ";
    let page = format!("{refused}Couldn't connect to server\n");
    passes(
        &page,
        "x",
        &format!("{refused}Could not connect to server\n"),
    );
    is_refused(&page, "x", &format!("{refused}Couldn't find the server\n"));
    is_refused(
        &page,
        "x",
        &format!("{refused}Would not connect to server\n"),
    );
    is_refused(&page, "x", &page.replace("0 ms", "2000 ms"));
    is_refused(&page, "x", &page.replace("port 8888", "port 80"));
    is_refused(&page, "x", &page.replace("(7)", "(28)"));
    let parse = "Parse Error: Missing expected CR after response line\n";
    passes(parse, "node", parse);
    is_refused("Parse Error: anything else\n", "node", parse);
}

#[test]
fn what_nc_and_telnet_say_names_the_same_place() {
    let nc = "Connection to 127.0.0.1 8888 port [tcp/*] succeeded!\n";
    passes(
        nc,
        "nc",
        "Connection to 127.0.0.1 (127.0.0.1) 8888 port [tcp/*] succeeded!\n",
    );
    passes(
        nc,
        "nc",
        "Connection to 127.0.0.1 port 8888 [tcp/ddi-tcp-1] succeeded!\n",
    );
    is_refused(
        nc,
        "nc",
        "Connection to 10.0.0.1 8888 port [tcp/*] succeeded!\n",
    );
    is_refused(
        nc,
        "nc",
        "Connection to 127.0.0.1 80 port [tcp/http] succeeded!\n",
    );
    is_refused("Connection to the moon succeeded!\n", "nc", nc);
    passes(
        "Connected to 127.0.0.1.\n",
        "telnet",
        "Connected to localhost.\n",
    );
    is_refused(
        "Connected to 127.0.0.1.\n",
        "telnet",
        "Connected to example.com.\n",
    );
}

#[test]
fn a_process_that_is_named_twice_is_one() {
    let page = "child pid 21, parent pid 20\nchild pid 22, parent pid 20\n";
    passes(
        page,
        "x",
        "child pid 8, parent pid 7\nchild pid 9, parent pid 7\n",
    );
    for came in [
        "child pid 8, parent pid 7\nchild pid 9, parent pid 6\n",
        "child pid 8, parent pid 7\nchild pid 8, parent pid 7\n",
        "child pid 8, parent pid 7\nchild pid 7, parent pid 8\n",
        "child pid 8, parent pid x\nchild pid 9, parent pid x\n",
    ] {
        is_refused(page, "x", came);
    }
    // Also when it is named again further down.
    let known = Shown::new(page, None);
    let known = known.fits(
        "child pid 8, parent pid 7\nchild pid 9, parent pid 7\n",
        &Known::default(),
    );
    let known = known.expect("they fit");
    let later = Shown::new("--- SIGCHLD {si_pid=22} ---\n", None);
    assert!(later.fits("--- SIGCHLD {si_pid=9} ---\n", &known).is_some());
    assert!(later.fits("--- SIGCHLD {si_pid=8} ---\n", &known).is_none());
    // As strace names them.
    let page = "[pid    21] close(3)\n[pid    22] close(3)\n";
    passes(
        page,
        "strace x",
        "[pid  1021] close(3)\n[pid 11022] close(3)\n",
    );
    for came in [
        "[pid  1021] close(3)\n[pid  1021] close(3)\n",
        "[pid  1021] close(3)\n[pid one] close(3)\n",
    ] {
        is_refused(page, "strace x", came);
    }
    // And in a file.
    let page = "19806 close(3)\n19809 close(3)\n";
    passes(page, "x", "8821  close(3)\n8834  close(3)\n");
    is_refused(page, "x", "8821  close(3)\n8821  close(3)\n");
    is_refused(page, "x", "8821  close(3)\n8834  close(4)\n");
    // With lines left out, the lines are laid where no process is taken for two.
    let page = "...\nchild pid 3, parent pid 2\nchild pid 4, parent pid 2\n...\n";
    passes(
        page,
        "x",
        "child pid 5, parent pid 1\nchild pid 8, parent pid 7\nchild pid 9, parent pid 7\n",
    );
}

#[test]
fn a_port_is_one_that_is_given_to_clients() {
    let page = "sin_port=htons(33544) 127.0.0.1:33544\n";
    passes(page, "x", "sin_port=htons(60001) 127.0.0.1:60001\n");
    is_refused(page, "x", "sin_port=htons(60001) 127.0.0.1:60002\n");
    is_refused(page, "x", "sin_port=htons(8888) 127.0.0.1:8888\n");
    is_refused(
        "127.0.0.1:12345 is no such port\n",
        "x",
        "127.0.0.1:40000 is no such port\n",
    );
    passes("REMOTE_PORT=41882\n", "x", "REMOTE_PORT=50000\n");
    is_refused("REMOTE_PORT=41882\n", "x", "REMOTE_PORT=80\n");
    is_refused("REMOTE_ADDR=127.0.0.2\n", "x", "REMOTE_ADDR=127.0.0.1\n");
}

#[test]
fn how_much_and_how_long_have_bounds() {
    passes(
        "128000 bytes, exit code 56\n",
        "x",
        "65483 bytes, exit code 56\n",
    );
    // All of them may come, and the reset after them.
    for size in ["1", "990720", "1000000"] {
        let came = format!("{size} bytes, exit code 56\n");
        passes("128000 bytes, exit code 56\n", "x", &came);
    }
    for size in ["0", "1000001", "some"] {
        let came = format!("{size} bytes, exit code 56\n");
        is_refused("128000 bytes, exit code 56\n", "x", &came);
    }
    is_refused(
        "128000 bytes, exit code 56\n",
        "x",
        "128000 bytes, exit code 0\n",
    );
    is_refused(
        "1000000 bytes, exit code 0\n",
        "x",
        "128000 bytes, exit code 0\n",
    );
    passes(
        "Private_Dirty:       836 kB\n",
        "x",
        "Private_Dirty:      1024 kB\n",
    );
    is_refused(
        "Private_Dirty:       836 kB\n",
        "x",
        "Private_Dirty:     10196 kB\n",
    );
    is_refused(
        "Private_Dirty:       836 kB\n",
        "x",
        "Private_Clean:       836 kB\n",
    );
    passes("page faults: 80\n", "x", "page faults: 84\n");
    is_refused("page faults: 8\n", "x", "page faults: 80\n");
    passes("0.387642 seconds\n", "x", "0.401234 seconds\n");
    is_refused("0.387642 seconds\n", "x", "0.000385 seconds\n");
    is_refused("0.000385 seconds\n", "x", "0.387642 seconds\n");
    is_refused("1.612553 seconds\n", "x", "0.406544 seconds\n");
    passes("real\t0m1.506s\n", "time x", "real\t0m3.100s\n");
    is_refused("real\t0m1.506s\n", "time x", "real\t1m1.506s\n");
}

#[test]
fn a_clock_runs_as_fast_here_as_on_the_page() {
    let page = "21:17:36.784323 <= one\n21:17:36.884519 <= two\n";
    passes(
        page,
        "x",
        "22:31:25.954506 <= one\n22:31:26.054763 <= two\n",
    );
    is_refused(
        page,
        "x",
        "22:31:25.954506 <= one\n22:31:25.954763 <= two\n",
    );
    is_refused(
        page,
        "x",
        "22:31:25.954506 <= one\n22:31:27.054763 <= two\n",
    );
    let strace = "close(4) = 0\nwait4(-1, [..], WNOHANG, NULL) = -1 ECHILD (No child processes)\n";
    let came = "close(4)                                = 0\n\
                wait4(-1, 0x7ffc, WNOHANG, NULL)        = -1 ECHILD (No child processes)\n";
    passes(strace, "x", came);
    is_refused(strace, "x", &came.replace("= 0", "= -1"));
    is_refused(strace, "x", &came.replace("= 0", "and more = 0"));
    is_refused(strace, "x", &came.replace("ECHILD", "EINTR"));
}

#[test]
fn clocks_show_times() {
    let page = "< Date: Tue, 24 Nov 2026 22:26:58 GMT\n";
    passes(page, "x", "< Date: Wed, 25 Nov 2026 01:00:00 GMT\n");
    is_refused(page, "x", "< Date: yesterday GMT\n");
    is_refused("< Date: soon GMT\n", "x", page);
    let page = "127.0.0.1 - - [24/Nov/2026:20:03:31 +0000] \"GET / HTTP/1.1\" 200 44\n";
    passes(page, "x", &page.replace("24/Nov", "25/Dec"));
    is_refused(page, "x", &page.replace("200 44", "500 44"));
    is_refused(page, "x", &page.replace("24/Nov/2026", "Tuesday"));
    passes(
        "cargo 1.95.0 (f2d3ce0bd 2026-03-21)\n",
        "x",
        "cargo 1.89.0 (c24e10642 2025-06-23)\n",
    );
    is_refused(
        "cargo 1.95.0 (f2d3ce0bd 2026-03-21)\n",
        "x",
        "cargo 1.70.0 (c24e10642 2023-06-23)\n",
    );
}

#[test]
fn white_space_is_as_it_came_but_in_the_columns_of_ss() {
    is_refused("Name:  grep\n", "grep Name x", "Name:\tgrep\n");
    is_refused("a  b\n", "x", "a b\n");
    passes("a\n\nb\n", "x", "a   \n\nb\n\n\n");
    is_refused("a\nb\n", "x", "a\n\nb\n");
    passes(
        "LISTEN 1 5 127.0.0.1:8888\n",
        "ss -ltn",
        "LISTEN  1   5   127.0.0.1:8888   \n",
    );
    is_refused(
        "LISTEN 1 5 127.0.0.1:8888\n",
        "ss -ltn",
        "LISTEN 2 5 127.0.0.1:8888\n",
    );
}

#[test]
fn under_nice_ps_shows_one_letter_more() {
    let ps = "ps -o stat,args --ppid 1";
    let page = "STAT COMMAND\nZ+   [webserver3d] <defunct>\nS+   webserver3d\n";
    passes(
        page,
        ps,
        "STAT COMMAND\nZN+  [webserver3d] <defunct>\nSN+  webserver3d\n",
    );
    passes("     100 Z+\n", "ps -o stat= | uniq -c", "     100 ZN+\n");
    passes("STAT COMMAND\nSs   sh\n", ps, "STAT COMMAND\nSNs  sh\n");
    is_refused(
        page,
        ps,
        "STAT COMMAND\nSN+  [webserver3d] <defunct>\nSN+  webserver3d\n",
    );
    is_refused("S+\n", ps, "S<+\n");
    is_refused("S+\n", "cat x", "SN+\n");
}

#[test]
fn cargo_s_progress_is_not_shown_and_what_is_left_out_is_marked() {
    let came = "   Compiling part1 v0.1.0 (/home/reader/course/code/part1)\n    \
                Finished `dev` profile [unoptimized + debuginfo] target(s) in 0.05s\n     \
                Running `target/debug/webserver1`\nServing\nGET /\nHost: x\n";
    passes("Serving\nGET /\nHost: x\n", "cargo run", came);
    is_refused("Serving\nHost: x\n", "cargo run", came);
    passes("Serving\n...\nHost: x\n", "cargo run", came);
    is_refused(
        "    Finished nothing at all\nServing\nGET /\nHost: x\n",
        "cargo run",
        came,
    );
    is_refused("Serving\n", "cargo run", "     Running late\nServing\n");
    is_refused("Serving\n...\nHost: y\n", "cargo run", came);
    passes("Hello, [..]!\n", "x", "Hello, World!\n");
    is_refused("Hello, [..]!\n", "x", "Hello, World?\n");
}

/// What is like a line that need not be shown, and is none.
#[test]
fn nothing_else_comes_unseen() {
    for line in [
        "    Blocking waiting for file lock on the client's request",
        "    Blocking one",
        "   Compiling is not what this is",
        "    Checking v1",
        "    Finished in 2.5s",
        "    Finished `dev` profile [unoptimized] target(s) in no time",
        "     Running late",
        "     Running `webserver1` in vain",
        "    Updating the page",
        "     Locked out",
        "* using HTTP/2",
        "== Info: Request half sent off",
        "* Mark bundle as supporting multiuse",
        "so far 1 x 1 connections",
        "so far 1 x 1 connections: 1 answered, 0 refused, 0 reset, 0 timed out, 1 lost",
    ] {
        is_refused("Serving\n", "x", &format!("{line}\nServing\n"));
        is_refused(&format!("{line}\nServing\n"), "x", "Serving\n");
    }
    for line in [
        "    Blocking waiting for file lock on build directory",
        "   Compiling part1 v0.1.0 (/home/reader/course/code/part1)",
        "    Finished `dev` profile [unoptimized + debuginfo] target(s) in 1m 05s",
        "     Running `target/debug/webserver1 127.0.0.1:8888`",
        "    Updating crates.io index",
        "* using HTTP/1.x",
        "== Info: Request completely sent off",
        "* Mark bundle as not supporting multiuse",
        "so far 1 x 128 connections: 100 answered, 0 refused, 0 reset, 0 timed out",
    ] {
        passes("Serving\n", "x", &format!("{line}\nServing\n"));
    }
}

/// What a crowd's server prints is long, and each line of it may be what `...` stands for.
#[test]
fn however_much_came_it_is_compared() {
    let crowd = "< GET / HTTP/1.1\n".repeat(20_000);
    let page = "Serving\n...\nthe end\n";
    passes(page, "x", &format!("Serving\n{crowd}the end\n"));
    is_refused(page, "x", &format!("Serving\n{crowd}another end\n"));
}

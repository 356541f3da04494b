//! What each server still gets wrong, shown.
//!
//! There is a test for each debt of `code/book/course.toml`, of the same name.
//! It asserts that the failure happens in the program that owes the debt, and,
//! once the program that repays it stands in the course, that it is gone there, and
//! that this program goes on to serve: one that has ended does not fail any more.

use book::course::{Course, Program};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::process::Command;
use tests::client::{get, Client, End};
use tests::experiments::{
    child_that_ends_during_accept, children_that_end_together, crowd, is_frozen_by_a_stopped_child,
    silent_client, END, WITH_A_LOG_OF_ONE_BLOCK,
};
use tests::processes::{self, Process};
use tests::programs::{course, runs_here};
use tests::server::{run_to_end, wait_for_state, Server, Setup};
use tests::wait_for;

/// Shows the debt named `test`: `fails` says whether a server fails.
fn debt(test: &str, fails: impl Fn(&mut Server) -> bool) {
    debt_of(test, |setup| setup, fails);
}

/// The same for a server that is not started as usual.
fn debt_of(test: &str, setup: impl Fn(Setup) -> Setup, fails: impl Fn(&mut Server) -> bool) {
    let course = course();
    let debt = course.debts.iter().find(|debt| debt.test == test);
    let debt = debt.unwrap_or_else(|| panic!("code/book/course.toml has no debt `{test}`"));
    let command = |name: &str| {
        let usual = course.program(name)?.arguments.as_ref();
        let arguments = usual.map(|usual| debt.with.as_ref().unwrap_or(usual));
        Some(format!("{name} {}", arguments.map_or("", String::as_str)))
    };
    let start = |program: &str| {
        let server = setup(Setup::new(program)).start();
        server.unwrap_or_else(|error| panic!("{error}"))
    };
    let owes = debt.shown.as_ref().unwrap_or(&debt.owes);
    let owes = command(owes).expect("the table has been checked");
    if !runs_here(&owes) {
        return tests::say(&format!("not checked: `{test}`, which needs Linux"));
    }
    assert!(fails(&mut start(&owes)), "{owes} does not owe `{test}`");
    let repays = course.program(&debt.repays);
    let mut next = repays.filter(|program| runs_here(&program.name));
    while let Some(program) = next {
        let repays = command(&program.name).expect("it is in the table");
        let mut server = start(&repays);
        assert!(!fails(&mut server), "{repays} does not repay `{test}`");
        let on_purpose = END_ON_PURPOSE.contains(&debt.test.as_str());
        if is_sound(&mut server, program.arguments.is_some()) || on_purpose {
            return;
        }
        // It has ended, which may be what it owes itself. Then the debt is repaid by
        // the program after it.
        let ends = course.debts.iter().find(|debt| debt.test == ENDS_BY_EINTR);
        let excused = ends.is_some_and(|debt| debt.owes == program.name);
        assert!(excused, "{repays} serves nobody after `{test}`");
        let error = "accept: EINTR: Interrupted system call\n".to_string();
        assert_eq!(server.wait_for_end(), (Some(1), error), "{repays}");
        let mut programs = course.programs.iter();
        next = programs
            .find(|other| !other.is_stage() && step_before(course, other) == Some(&program.name));
        assert!(next.is_some(), "no program after {repays} repays `{test}`");
    }
}

/// The finished program that a program was made of, behind the stages between them.
fn step_before<'a>(course: &'a Course, program: &'a Program) -> Option<&'a String> {
    let before = program.before.as_ref()?;
    match course.program(before) {
        Some(stage) if stage.is_stage() => step_before(course, stage),
        _ => Some(before),
    }
}

/// The debts that are looked at when the server has been told to end.
const END_ON_PURPOSE: [&str; 2] = [
    "told_alone_to_stop_it_leaves_its_children",
    "who_waits_when_it_is_told_to_stop_gets_nothing",
];

/// The debt of a server that ends while nothing else is wrong with it.
const ENDS_BY_EINTR: &str = "a_signal_ends_the_server";

/// Whether a server goes on: it answers a client who comes now, as it should.
fn is_sound(server: &mut Server, closes: bool) -> bool {
    let Ok(mut client) = Client::try_connect(server.address) else {
        return false;
    };
    client.try_send(get("/"));
    let answer = match closes {
        true => String::from_utf8_lossy(&client.read_to_end().0).into_owned(),
        false => client.read_until(END),
    };
    let begins = ["HTTP/1.1 200 OK\n", "HTTP/1.1 200 OK\r\n"];
    let head = begins.iter().any(|begin| answer.starts_with(begin));
    let body = answer.split_once("\r\n\r\n").or(answer.split_once("\n\n"));
    let sound = head && body.is_some_and(|(_, body)| !body.is_empty());
    sound && server.is_running()
}

/// A server that has ended has repaid nothing.
#[test]
fn a_server_that_has_ended_is_not_sound() {
    let mut server = Server::start("webserver1");
    assert!(is_sound(&mut server, true));
    server.signal(Signal::SIGKILL);
    server.wait_for_state('Z');
    assert!(!is_sound(&mut server, true));
}

#[test]
fn every_debt_has_its_test() {
    let mut list = Command::new(std::env::current_exe().unwrap());
    let (_, output, _) = run_to_end(list.arg("--list"));
    let tests: BTreeSet<&str> = output
        .lines()
        .filter_map(|line| line.strip_suffix(": test")?.strip_prefix("debts::"))
        .collect();
    let course = course();
    let debts: BTreeSet<&str> = course.debts.iter().map(|debt| debt.test.as_str()).collect();
    for debt in &debts {
        assert!(
            tests.contains(debt),
            "the debt `{debt}` of code/book/course.toml has no test in tests/suite/debts.rs"
        );
    }
    let of_the_list = [
        "every_debt_has_its_test",
        "a_server_that_has_ended_is_not_sound",
    ];
    for test in tests.iter().filter(|test| !of_the_list.contains(test)) {
        assert!(
            debts.contains(test),
            "the test `{test}` is no debt of code/book/course.toml"
        );
    }
}

#[test]
fn one_client_at_a_time() {
    debt("one_client_at_a_time", |server| {
        let mut first = server.connect();
        let mut second = server.connect();
        second.send(get("/"));
        server.wait_until_idle();
        let early = second.read_now();
        let answer = first.send(get("/")).read_until(END);
        assert!(answer.contains("200"), "the first client is served");
        early.is_empty() && is_served(&mut second)
    });
}

#[test]
fn a_silent_client_holds_the_server() {
    debt("a_silent_client_holds_the_server", |server| {
        let silent = server.connect();
        let mut other = server.connect();
        other.send(get("/"));
        server.wait_until_idle();
        let waiting = other.read_now();
        drop(silent);
        waiting.is_empty() && is_served(&mut other)
    });
}

/// Who had to wait is served in the end, or there is more wrong than the debt.
fn is_served(client: &mut Client) -> bool {
    let answer = client.read_until(END);
    assert!(answer.ends_with(END), "a client who waited got {answer:?}");
    true
}

#[test]
fn half_a_request_is_answered() {
    debt("half_a_request_is_answered", |server| {
        let mut client = server.connect();
        client.send("GET /hello HTTP/1.1\r\nHost: lo");
        server.wait_until_idle();
        client.read_now().starts_with(b"HTTP/1.1 200")
    });
}

#[test]
fn a_long_request_ends_in_a_reset() {
    debt("a_long_request_ends_in_a_reset", |server| {
        let path = format!("/{}", "x".repeat(3000));
        let (_, end) = server.connect().ask(&get(&path));
        end == End::Reset
    });
}

/// The second client makes it certain: the server takes its connection only
/// after it has closed the first, so when the second has its answer, what the
/// first has not received is gone.
#[test]
fn a_large_answer_is_cut_short() {
    debt("a_large_answer_is_cut_short", |server| {
        let path = format!("/{}", "x".repeat(3000));
        let mut first = server.connect();
        first.send(get(&path));
        server.wait_for_output(&path[..1000]);
        let (whole, end) = server.connect().ask(&get("/"));
        let whole_end = (whole.len(), end);
        let (part, end) = first.read_to_end();
        whole_end.1 == End::Closed && part.len() < whole_end.0 && end == End::Reset
    });
}

#[test]
fn the_answer_has_no_frame() {
    debt("the_answer_has_no_frame", |server| {
        let (answer, _) = server.connect().ask(&get("/hello"));
        let head = answer.split("\r\n\r\n").next().unwrap_or_default();
        let whole_head = head.len() < answer.len();
        !whole_head || !head.to_ascii_lowercase().contains("\r\ncontent-length: ")
    });
}

#[test]
fn every_path_is_the_same_page() {
    debt("every_path_is_the_same_page", |server| {
        let strange = [
            "DELETE /no/such/page HTTP/1.1\r\nHost: x\r\n\r\n",
            "?\r\n\r\n",
        ];
        let (hello, _) = server.connect().ask(&get("/hello"));
        strange
            .iter()
            .all(|request| server.connect().ask(request).0 == hello)
    });
}

/// ESC and `[2J`: with these bytes a terminal clears its screen.
#[test]
fn a_client_writes_on_the_terminal() {
    debt("a_client_writes_on_the_terminal", |server| {
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nX: \x1b[2J\r\n\r\n";
        let (answer, _) = server.connect().ask(request);
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
        // Its output is there when the next visitor has been seen.
        server.connect().ask(&get("/next"));
        server.wait_for_output("GET /next");
        format!("{}{}", server.output(), server.errors()).contains('\x1b')
    });
}

fn with_a_log_of_one_block(setup: Setup) -> Setup {
    setup.under(&["sh", "-c", WITH_A_LOG_OF_ONE_BLOCK])
}

/// Each prints 900 bytes. What those get who come when the log is full.
fn visits_that_fill_the_log(server: &Server) -> Vec<Vec<u8>> {
    let request = get(&format!("/{}", "x".repeat(900)));
    let visit = |_| {
        let client = Client::try_connect(server.address);
        client.map_or(Vec::new(), |mut client| {
            client.try_send(&request).read_to_end().0
        })
    };
    (0..3).map(visit).skip(1).collect()
}

#[test]
fn a_full_log_ends_the_server() {
    debt_of(
        "a_full_log_ends_the_server",
        with_a_log_of_one_block,
        |server| {
            let answers = visits_that_fill_the_log(server);
            server.wait_until_idle();
            !server.is_running() && answers.contains(&Vec::new())
        },
    );
}

#[test]
fn one_request_at_a_time() {
    debt("one_request_at_a_time", |server| {
        let silent = server.connect();
        let mut other = server.connect();
        other.send(get("/"));
        server.wait_until_idle();
        let (waiting, end) = other.read_soon();
        drop(silent);
        let (served, _) = other.read_to_end();
        waiting.is_empty() && end == End::Silent && !served.is_empty()
    });
}

/// HTTP/1.1 has a way to say it, chunked coding; without it and without a
/// length, only a reset would tell.
#[test]
fn half_an_answer_ends_like_a_whole_one() {
    debt("half_an_answer_ends_like_a_whole_one", |server| {
        let (answer, end) = server.connect().ask(&get("/"));
        let framed = ["\r\nContent-Length: ", "\r\nTransfer-Encoding: "];
        let framed = framed.iter().any(|field| answer.contains(field));
        answer.ends_with("All is w") && end == End::Closed && !framed
    });
}

#[test]
fn every_answer_ends_its_connection() {
    debt("every_answer_ends_its_connection", |server| {
        let (answer, end) = server.connect().ask(&get("/"));
        answer.contains("\r\nConnection: close\r\n") && end == End::Closed
    });
}

#[test]
fn the_parent_keeps_its_copy() {
    debt("the_parent_keeps_its_copy", |server| {
        let mut client = server.connect();
        let answer = client.send(get("/")).read_until(END);
        assert!(answer.contains("200"), "the client is served");
        server.wait_until_idle();
        // The child has gone, and nobody else would close it.
        client.read_soon().1 == End::Silent
    });
}

#[test]
fn descriptors_run_out() {
    let few = |setup: Setup| setup.most_descriptors(32);
    debt_of("descriptors_run_out", few, |server| {
        for _ in 0..40 {
            if let Ok(mut client) = Client::try_connect(server.address) {
                client.try_send(get("/")).read_until(END);
            }
        }
        server.wait_until_idle();
        !server.is_running() && server.errors().contains("accept: EMFILE")
    });
}

#[test]
fn children_stay_as_zombies() {
    debt("children_stay_as_zombies", |server| {
        server.connect().send(get("/")).read_until(END);
        server.lasting_zombies() == 1
    });
}

#[test]
fn a_signal_ends_the_server() {
    debt("a_signal_ends_the_server", |server| {
        child_that_ends_during_accept(server);
        server.wait_until_idle();
        !server.is_running() && server.errors().contains("accept: EINTR")
    });
}

#[test]
fn it_waits_for_a_child_that_has_only_stopped() {
    debt("it_waits_for_a_child_that_has_only_stopped", |server| {
        let (_held, child) = silent_client(server);
        server.wait_until_idle();
        let signal = |signal| kill(Pid::from_raw(child as i32), signal);
        assert_eq!(signal(Signal::SIGSTOP), Ok(()));
        wait_for_state(child, 'T');
        let mut other = server.connect();
        other.send(get("/"));
        server.wait_until_idle();
        let frozen = server.is_running() && other.read_now().is_empty();
        assert_eq!(signal(Signal::SIGCONT), Ok(()));
        frozen
    });
}

#[test]
fn one_signal_stands_for_many() {
    debt("one_signal_stands_for_many", |server| {
        children_that_end_together(server, 8) == 7
    });
}

#[test]
fn a_stopped_child_freezes_the_server() {
    debt("a_stopped_child_freezes_the_server", |server| {
        is_frozen_by_a_stopped_child(server)
    });
}

#[test]
fn a_silent_client_costs_a_process() {
    debt("a_silent_client_costs_a_process", |server| {
        let before = server.wait_until_idle().len();
        let _silent: Vec<Client> = (0..4).map(|_| server.connect()).collect();
        server.wait_until_idle().len() == before + 4
    });
}

#[test]
fn a_crowd_of_silent_clients_ends_the_server() {
    let few = |setup: Setup| setup.most_processes(16);
    debt_of("a_crowd_of_silent_clients_ends_the_server", few, |server| {
        let _silent = crowd(server, 200);
        server.wait_until_idle();
        !server.is_running() && server.errors().contains("fork: EAGAIN")
    });
}

/// Starts another of the server's kind, as process 1 of a namespace of its own.
#[cfg(target_os = "linux")]
#[test]
fn as_process_1_it_hears_no_signal() {
    let mut tool = vec!["unshare", "--pid", "--fork", "--kill-child"];
    if !nix::unistd::geteuid().is_root() {
        tool.extend(["--user", "--map-root-user"]);
    }
    let mut probe = Command::new(tool[0]);
    if !probe
        .args(&tool[1..])
        .arg("true")
        .status()
        .is_ok_and(|status| status.success())
    {
        return tests::left_out("a server that is process 1", "namespaces of processes");
    }
    debt("as_process_1_it_hears_no_signal", |server| {
        let program = std::fs::read_link(format!("/proc/{}/exe", server.pid())).unwrap();
        let program = program.file_name().unwrap().to_str().unwrap();
        let arguments = match program {
            "webserver3h" => " wsgiapp:app",
            _ => "",
        };
        [Signal::SIGINT, Signal::SIGTERM].into_iter().any(|signal| {
            let setup = Setup::new(&format!("{program}{arguments}")).under(&tool);
            let mut first = setup.start().unwrap_or_else(|error| panic!("{error}"));
            let pid = first.wait_for_children(1)[0].pid;
            let sent = kill(Pid::from_raw(pid as i32), signal);
            assert_eq!(sent, Ok(()));
            first.wait_until_idle();
            // And it serves on.
            first.is_running() && !first.connect().send(get("/")).read_until(END).is_empty()
        })
    });
}

/// The pipe holds 65,536 bytes, and a line of each request goes into it.
#[test]
fn a_log_that_nobody_reads_holds_the_clients() {
    let script = "\"$0\" \"$@\" | { head -n 1; exec sleep 1000; }";
    let unread = |setup: Setup| setup.under(&["sh", "-c", script]);
    debt_of(
        "a_log_that_nobody_reads_holds_the_clients",
        unread,
        |server| {
            let request = get(&format!("/{}", "x".repeat(900)));
            let held = |_| {
                let mut client = server.connect();
                let soon = client.send(&request).read_soon();
                let silent = (Vec::new(), End::Silent);
                // It may be late, and not held, until nobody has anything to do.
                soon == silent && {
                    server.wait_until_idle();
                    client.read_soon() == silent
                }
            };
            (0..150).any(held)
        },
    );
}

#[test]
fn a_full_log_costs_the_answer() {
    debt_of(
        "a_full_log_costs_the_answer",
        with_a_log_of_one_block,
        |server| {
            let answers = visits_that_fill_the_log(server);
            answers.iter().all(Vec::is_empty)
        },
    );
}

#[test]
fn told_alone_to_stop_it_leaves_its_children() {
    debt("told_alone_to_stop_it_leaves_its_children", |server| {
        let _silent = server.connect();
        let children = server.wait_until_idle();
        server.signal(Signal::SIGTERM);
        wait_for("the end of the server", || {
            (!server.is_running()).then_some(())
        });
        server.wait_until_idle();
        let left = |child: &Process| !matches!(processes::state(child.pid), None | Some('Z'));
        children.iter().any(left)
    });
}

#[test]
fn as_many_silent_clients_as_workers_stop_it() {
    debt("as_many_silent_clients_as_workers_stop_it", |server| {
        let _silent = silent(server, 2);
        let mut third = server.connect();
        third.send(get("/"));
        server.wait_until_idle();
        third.read_now().is_empty()
    });
}

#[test]
fn who_waits_when_it_is_told_to_stop_gets_nothing() {
    debt("who_waits_when_it_is_told_to_stop_gets_nothing", |server| {
        let silent = silent(server, 2);
        let mut third = server.connect();
        third.send(get("/"));
        server.wait_until_idle();
        server.signal(Signal::SIGTERM);
        server.wait_until_idle();
        drop(silent);
        third.read_to_end().0.is_empty()
    });
}

/// Two workers with four threads each are what it has if it is told nothing.
#[test]
fn silent_clients_cost_a_thread() {
    debt("silent_clients_cost_a_thread", |server| {
        let silent = silent(server, 8);
        let mut ninth = server.connect();
        ninth.send(get("/"));
        server.wait_until_idle();
        let begin = ninth.read_now();
        drop(silent);
        let answer = [&begin[..], &ninth.read_to_end().0].concat();
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
        begin.is_empty()
    });
}

/// The other has asked while the first answer was being made.
#[test]
fn a_slow_answer_stops_everyone() {
    debt("a_slow_answer_stops_everyone", |server| {
        let (mut slow, mut other) = (server.connect(), server.connect());
        slow.send(get("/slow"));
        server.wait_for_output("GET /slow");
        let (answer, _) = other.ask(&get("/"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        !slow.read_now().is_empty()
    });
}

#[test]
fn an_answer_is_not_sent_before_it_is_whole() {
    debt("an_answer_is_not_sent_before_it_is_whole", |server| {
        let begin = server.connect().send(get("/")).read_some();
        assert!(begin.starts_with(b"HTTP/1.1 200 "), "{begin:?}");
        begin.ends_with(b"5\n")
    });
}

/// Connects clients that say nothing, each of which has somebody who waits for it.
fn silent(server: &Server, number: usize) -> Vec<Client> {
    let connect = |_| {
        let client = server.connect();
        server.wait_until_idle();
        client
    };
    (0..number).map(connect).collect()
}

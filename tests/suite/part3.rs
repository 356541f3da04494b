//! What Part 3 says of its servers, one test for each claim. How a failure is made
//! certain stands in `tests::experiments`.

use book::course::Program;
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use tests::client::{get, Client, End};
use tests::experiments::{
    child_that_ends_during_accept, children_that_end_together, crowd, is_frozen_by_a_stopped_child,
    silent_client, silent_clients, END,
};
use tests::processes::{self, Process};
use tests::programs::{build_alone, course, executable, folder};
use tests::server::{end_with_parent, run_to_end, wait_for_state, Server, Setup};
use tests::terminal::Terminal;
use tests::{left_out, make_room_for_descriptors, wait_for, LIMIT, SILENCE};

const ANSWER: &str = "HTTP/1.1 200 OK\n\nHello, World!\n";

/// Every server that forks for each client and reaps what it has forked.
const REAPERS: [&str; 5] = [
    "webserver3g",
    "webserver3g_signal_hook",
    "no_zombies",
    "double_fork",
    ANY_APPLICATION,
];

/// With an application whose answer ends as that of the series does.
const ANY_APPLICATION: &str = "webserver3h validator:axumapp:app";

/// Held by the tests that start processes by the hundred, or count those of this
/// user: they would count each other's.
static CROWD: Mutex<()> = Mutex::new(());

fn one_crowd_at_a_time() -> MutexGuard<'static, ()> {
    make_room_for_descriptors();
    // A test that failed has poisoned it, and dropped its processes.
    CROWD
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The servers of this part, as the table has them.
fn servers() -> Vec<String> {
    let programs = course().programs.into_iter();
    let ours = programs.filter(|program| program.file.starts_with("code/part3") && program.serves);
    ours.map(|program| program.name).collect()
}

// ------------------------------------------------- what all have in common

#[test]
fn every_server_says_where_it_serves_and_gives_the_answer_of_the_series() {
    for program in servers() {
        let server = Server::start(&program);
        let line = format!("Serving HTTP on http://{}/ ...\n", server.address);
        assert_eq!(server.output(), line, "{program}");
        let mut client = server.connect();
        let answer = client.send(get("/hello")).read_until(END);
        assert_eq!(answer, ANSWER, "{program}");
        server.wait_for_output(&get("/hello"));
    }
}

#[test]
fn every_server_says_clearly_why_it_cannot_start() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let hint = "another address can be the first argument";
    for program in servers() {
        let mut command = Command::new(executable(&program));
        let (code, output, errors) = run_to_end(command.arg(&address));
        assert_eq!((code, output.as_str()), (Some(1), ""), "{program}");
        let begins = errors.starts_with(&format!("bind {address}: Address"));
        let ends = errors.ends_with(&format!("{hint}\n"));
        let one_line = errors.lines().count() == 1;
        assert!(begins && ends && one_line, "{program}: {errors}");
    }
}

/// A terminal sends SIGINT to the whole group of the command that runs in it.
#[test]
fn every_server_stops_when_told_and_so_do_its_children() {
    for program in servers().into_iter().chain([ANY_APPLICATION.to_string()]) {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let mut server = Server::start(&program);
            let _silent = [server.connect(), server.connect()];
            server.wait_until_idle();
            // The grandchildren of double_fork are in its group alone.
            let pid = server.pid();
            let mut ours = processes::all();
            ours.retain(|process| process.group == pid || process.parent == pid);
            server.signal_group(signal);
            let (code, _) = server.wait_for_end();
            assert_eq!(code, None, "{program} ends by the signal");
            for process in ours {
                wait_for(&format!("the end of {process:?} of {program}"), || {
                    matches!(processes::state(process.pid), None | Some('Z')).then_some(())
                });
            }
        }
    }
}

#[test]
fn ctrl_c_stops_a_server_and_its_children() {
    let mut terminal = Terminal::open(&folder(), &[]);
    terminal.command("./webserver3g 127.0.0.1:0");
    let line = wait_for("the first line", || {
        let screen = terminal.screen();
        screen.contains('\n').then_some(screen)
    });
    let address = line.trim().strip_prefix("Serving HTTP on http://");
    let address = address.and_then(|rest| rest.strip_suffix("/ ..."));
    let address: SocketAddr = address.and_then(|address| address.parse().ok()).unwrap();
    let _silent = Client::connect(address);
    let mut client = Client::connect(address);
    client.send(get("/")).read_until(END);
    let printed = wait_for("the number of the server", || {
        let screen = terminal.screen();
        let (_, number) = screen.split_once("parent pid ")?;
        Some(number.lines().next()?.to_string())
    });
    let server: u32 = printed.parse().unwrap();
    // The one of the silent client; the other has been reaped.
    let child = wait_for("the child", || match processes::children(server)[..] {
        [Process { pid, .. }] => Some(pid),
        _ => None,
    });
    terminal.interrupt();
    assert!(
        terminal.wait(LIMIT, |_| false),
        "the prompt does not come back"
    );
    for process in [server, child] {
        wait_for("its end", || {
            matches!(processes::state(process), None | Some('Z')).then_some(())
        });
    }
    assert!(TcpStream::connect(address).is_err(), "somebody listens");
}

#[test]
fn every_server_serves_after_a_client_that_resets() {
    // The first naps after each client, and the others may end with one.
    let not = ["webserver3b", "webserver3e", "printing_handler"];
    let serve_on = |name: &String| !not.contains(&name.as_str());
    for program in servers().into_iter().filter(serve_on) {
        let mut server = Server::start(&program);
        for _ in 0..3 {
            let mut client = server.connect();
            client.send(get("/gone"));
            client.reset();
            server.connect().reset();
            drop(server.connect());
        }
        // Some have a limit on their children.
        server.wait_until_idle();
        let answer = server.connect().send(get("/")).read_until(END);
        assert_eq!(answer, ANSWER, "{program}");
        assert!(server.is_running(), "{program}");
    }
}

// --------------------------------------------------------- one at a time

/// Linux lets one more in than `listen` was told, and other systems round up.
#[test]
fn the_queue_of_3a_is_five() {
    let server = Server::start("webserver3a");
    let silent = server.connect();
    server.wait_until_idle();
    let mut waiting = Vec::new();
    while let Ok(connection) = TcpStream::connect_timeout(&server.address, SILENCE) {
        waiting.push(connection);
        assert!(waiting.len() < 20, "the queue has no end");
    }
    assert!((5..=8).contains(&waiting.len()), "{} wait", waiting.len());
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

// ----------------------------------------------------- a child for each client

#[test]
fn each_client_of_3c_has_a_child_that_prints_whose_it_is() {
    let server = Server::start("webserver3c");
    let mut clients = silent_clients(&server, 3);
    for client in &mut clients {
        let answer = client.send(get("/")).read_until(END);
        assert_eq!(answer, ANSWER);
    }
    for child in server.wait_for_children(3) {
        let line = format!("child pid {}, parent pid {}\n", child.pid, server.pid());
        server.wait_for_output(&line);
    }
}

#[test]
fn the_parent_of_3c_holds_no_connection_and_that_of_3d_holds_all() {
    if !processes::lists_descriptors() {
        return left_out("descriptors", "/proc/PID/fd");
    }
    const CLIENTS: usize = 20;
    for (program, held) in [("webserver3c", 0), ("webserver3d", CLIENTS)] {
        let server = Server::start(program);
        let before = server.descriptors();
        let mut clients = silent_clients(&server, CLIENTS);
        server.wait_until_idle();
        assert_eq!(server.descriptors(), before + held, "{program}");
        // Also when they have been answered.
        for client in &mut clients {
            client.send(get("/")).read_until(END);
        }
        server.wait_until_idle();
        assert_eq!(server.descriptors(), before + held, "{program}");
    }
}

/// Before: the three standard ones and the listener. In the child: the connection
/// in place of the listener.
#[test]
fn a_child_of_3c_holds_its_connection_and_not_the_listener() {
    if !processes::lists_descriptors() {
        return left_out("descriptors", "/proc/PID/fd");
    }
    let server = Server::start("webserver3c");
    let before = server.descriptors();
    let client = server.connect();
    let child = server.wait_for_children(1)[0].pid;
    server.wait_until_idle();
    assert_eq!(processes::descriptors(child), Some(before));
    // Nobody listens any more when the parent has gone, though the child is there.
    server.signal(Signal::SIGKILL);
    wait_for_state(server.pid(), 'Z');
    assert_eq!(processes::state(child), Some('S'));
    assert!(TcpStream::connect(server.address).is_err());
    drop(client);
}

// -------------------------------------------------------- leaked descriptors

#[test]
fn the_answer_of_3d_does_not_end() {
    let server = Server::start("webserver3d");
    let mut client = server.connect();
    assert_eq!(client.send(get("/")).read_until(END), ANSWER);
    // The child has ended, and only the parent could still close it.
    assert_eq!(server.lasting_zombies(), 1);
    assert_eq!(client.read_soon(), (Vec::new(), End::Silent));
    // The kernel closes what a process leaves behind.
    server.signal(Signal::SIGKILL);
    assert_eq!(client.read_to_end(), (Vec::new(), End::Closed));
}

#[test]
fn three_d_runs_out_of_descriptors() {
    let _alone = one_crowd_at_a_time();
    let setup = Setup::new("webserver3d").most_descriptors(256);
    let mut server = setup.start().unwrap_or_else(|error| panic!("{error}"));
    let mut clients = Vec::new();
    let mut answered = 0;
    for _ in 0..300 {
        // When it has ended, they are refused.
        if let Ok(mut client) = Client::try_connect(server.address) {
            let answer = client.try_send(get("/")).read_until(END);
            answered += usize::from(answer == ANSWER);
            clients.push(client);
        }
    }
    let error = "accept: EMFILE: Too many open files\n".to_string();
    assert_eq!(server.wait_for_end(), (Some(1), error));
    // All but the three standard ones, the listener, and what was inherited.
    assert!((200..256).contains(&answered), "{answered} were answered");
}

#[test]
fn three_d_runs_out_of_processes_for_its_zombies() {
    let _alone = one_crowd_at_a_time();
    let setup = Setup::new("webserver3d").most_processes(40);
    let mut server = setup.start().unwrap_or_else(|error| panic!("{error}"));
    let mut clients = Vec::new();
    let mut zombies = 0;
    // More than the limit, if other processes of this user end meanwhile.
    while clients.len() < 500 {
        let Ok(mut client) = Client::try_connect(server.address) else {
            break;
        };
        let answer = client.try_send(get("/")).read_until(END);
        clients.push(client);
        if answer != ANSWER {
            break;
        }
        // Each has ended before the next begins: only zombies fill the table.
        zombies += 1;
        server.wait_for_zombies(zombies);
        assert_eq!(server.children().len(), zombies);
    }
    let error = "fork: EAGAIN: Try again\n".to_string();
    assert_eq!(server.wait_for_end(), (Some(1), error));
    assert!(zombies > 0, "it could not have a single child");
    if nix::unistd::geteuid().is_root() {
        assert_eq!(zombies, 39, "and the server itself");
    }
}

// ------------------------------------------------------------------ zombies

#[test]
fn the_children_of_3d_stay_and_those_of_a_reaper_do_not() {
    let programs = REAPERS.iter().map(|name| (*name, 0));
    for (program, zombies) in [("webserver3d", 10)].into_iter().chain(programs) {
        let server = Server::start(program);
        for _ in 0..10 {
            let answer = server.connect().send(get("/")).read_until(END);
            assert!(answer.ends_with(END), "{program}: {answer}");
        }
        assert_eq!(server.lasting_zombies(), zombies, "{program}");
        let children = server.children();
        assert_eq!(children.len(), zombies, "{program}: {children:?}");
    }
}

/// Nothing is left of a zombie to kill.
#[test]
fn a_zombie_cannot_be_killed() {
    let server = Server::start("webserver3d");
    server.connect().send(get("/")).read_until(END);
    server.wait_for_zombies(1);
    let zombie = server.children()[0].pid;
    let sent = kill(Pid::from_raw(zombie as i32), Signal::SIGKILL);
    assert_eq!(sent, Ok(()));
    assert_eq!(server.lasting_zombies(), 1);
    if processes::lists_descriptors() {
        assert_eq!(processes::descriptors(zombie).unwrap_or(0), 0);
    }
}

/// A stopped child keeps the server in its handler, so that it outlives the end of
/// another, whose zombie can be looked for.
#[test]
fn three_e_reaps() {
    let mut server = Server::start("webserver3e");
    let (mut stopped, child) = silent_client(&server);
    let (mut other, _) = silent_client(&server);
    server.wait_until_idle();
    let signal = |signal| kill(Pid::from_raw(child as i32), signal).unwrap();
    signal(Signal::SIGSTOP);
    wait_for_state(child, 'T');
    server.wait_until_idle();
    assert_eq!(other.ask(&get("/")).0, ANSWER);
    assert_eq!(server.wait_for_children(1)[0].state, 'T');
    assert!(server.is_running());
    signal(Signal::SIGCONT);
    assert_eq!(stopped.ask(&get("/")).0, ANSWER);
    assert_eq!(server.wait_for_end().0, Some(1));
}

#[test]
fn three_e_ends_by_eintr() {
    let mut server = Server::start("webserver3e");
    child_that_ends_during_accept(&server);
    let error = "accept: EINTR: Interrupted system call\n".to_string();
    assert_eq!(server.wait_for_end(), (Some(1), error));
}

#[test]
fn three_f_outlives_eintr() {
    let mut server = Server::start("webserver3f");
    for _ in 0..10 {
        child_that_ends_during_accept(&server);
        assert_eq!(server.lasting_zombies(), 0);
        assert_eq!(server.children(), []);
    }
    assert!(server.is_running());
}

// -------------------------------------------------------------- lost signals

#[test]
fn of_8_children_that_end_together_3f_keeps_7_and_a_reaper_none() {
    keeps_all_but_one(8);
}

#[test]
fn of_128_children_that_end_together_3f_keeps_127_and_a_reaper_none() {
    let _alone = one_crowd_at_a_time();
    keeps_all_but_one(128);
}

fn keeps_all_but_one(number: usize) {
    let reapers = [
        "webserver3g",
        "webserver3g_signal_hook",
        "no_zombies",
        ANY_APPLICATION,
    ];
    let programs = reapers.iter().map(|name| (*name, 0));
    for (program, zombies) in [("webserver3f", number - 1)].into_iter().chain(programs) {
        let server = Server::start(program);
        let left = match program {
            // There is nothing to wait for: its children leave no zombies.
            "no_zombies" => {
                let mut clients = silent_clients(&server, number);
                server.signal(Signal::SIGSTOP);
                server.wait_for_state('T');
                for client in &mut clients {
                    client.send(get("/")).read_until(END);
                }
                server.wait_for_children(0);
                server.signal(Signal::SIGCONT);
                server.lasting_zombies()
            }
            _ => children_that_end_together(&server, number),
        };
        assert_eq!(left, zombies, "{program}");
        // Another child, and another signal, change nothing.
        child_that_ends_beside(&server, zombies);
        assert_eq!(server.lasting_zombies(), zombies, "{program}");
        assert_eq!(server.children().len(), zombies, "{program}");
    }
}

fn child_that_ends_beside(server: &Server, zombies: usize) {
    let mut client = server.connect();
    server.wait_for_children(zombies + 1);
    let answer = client.send(get("/")).read_until(END);
    assert!(answer.ends_with(END), "{answer}");
}

/// What the exercise asks to be found.
#[test]
fn a_server_that_reaps_in_its_loop_keeps_zombies_until_the_next_client() {
    let server = Server::start("reap_in_loop");
    assert_eq!(children_that_end_together(&server, 8), 8);
    child_that_ends_beside(&server, 0);
    assert_eq!(server.lasting_zombies(), 1);
}

#[test]
fn nobody_of_300_clients_loses_the_answer() {
    let _alone = one_crowd_at_a_time();
    for program in REAPERS {
        let mut server = Server::start(program);
        assert_eq!(three_hundred(&server), ALL, "{program}");
        assert!(server.is_running(), "{program}");
        assert_eq!(server.lasting_zombies(), 0, "{program}");
        assert_eq!(server.children(), [], "{program}");
        let served = server.output().matches("child pid ").count();
        assert!(served >= 300, "{program}: {served} children");
    }
}

const ALL: &str = "300 x 1 connections: 300 answered, 0 refused, 0 reset, 0 timed out";

/// What became of 300 clients at once.
fn three_hundred(server: &Server) -> String {
    let address = server.address.to_string();
    let mut client = Command::new(executable("client3"));
    client.args(["--max-clients", "300", "--patience", "25"]);
    let (_, output, errors) = run_to_end(client.args(["--address", &address]));
    match output.is_empty() {
        true => errors,
        false => output.trim_end().to_string(),
    }
}

/// The signal comes as often as this machine can send it, at every place of the
/// server's loop, and in `fork`.
#[test]
fn a_storm_of_signals_does_not_hurt_3g() {
    let _alone = one_crowd_at_a_time();
    let mut server = Server::start("webserver3g");
    let calm = AtomicBool::new(false);
    let (outcome, signals) = thread::scope(|scope| {
        let storm = scope.spawn(|| {
            let mut signals = 0_u64;
            while !calm.load(Ordering::Relaxed) {
                server.signal(Signal::SIGCHLD);
                signals += 1;
            }
            signals
        });
        let outcome = three_hundred(&server);
        calm.store(true, Ordering::Relaxed);
        (outcome, storm.join())
    });
    assert_eq!(outcome, ALL);
    let signals = signals.expect("it sends signals, and nothing else");
    assert!(signals > 300, "{signals} are no storm");
    assert!(server.is_running(), "{}", server.errors());
    assert_eq!(server.lasting_zombies(), 0);
    assert_eq!(server.children(), []);
}

#[test]
fn a_stopped_child_freezes_a_handler_that_waits() {
    for (program, freezes) in [
        ("waiting_handler", true),
        ("webserver3f", true),
        ("webserver3g", false),
        ("webserver3g_signal_hook", false),
        ("no_zombies", false),
        (ANY_APPLICATION, false),
    ] {
        let server = Server::start(program);
        let frozen = is_frozen_by_a_stopped_child(&server);
        assert_eq!(frozen, freezes, "{program}");
    }
}

#[test]
fn a_silent_client_costs_3g_a_process_and_nothing_more() {
    let server = Server::start("webserver3g");
    let lists_descriptors = processes::lists_descriptors();
    let descriptors = || lists_descriptors.then(|| server.descriptors());
    let before = descriptors();
    let silent = silent_clients(&server, 10);
    server.wait_until_idle();
    assert_eq!(
        descriptors(),
        before,
        "the server holds something of theirs"
    );
    for _ in 0..10 {
        let answer = server.connect().ask(&get("/"));
        assert_eq!(answer, (ANSWER.to_string(), End::Closed));
    }
    assert_eq!(server.wait_until_idle().len(), 10);
    drop(silent);
    server.wait_for_children(0);
    assert_eq!(descriptors(), before);
}

#[test]
fn a_crowd_of_silent_clients_ends_3g_with_a_clear_line() {
    let _alone = one_crowd_at_a_time();
    let setup = Setup::new("webserver3g").most_processes(20);
    let mut server = setup.start().unwrap_or_else(|error| panic!("{error}"));
    let _silent = crowd(&mut server, 500);
    let error = "fork: EAGAIN: Try again\n".to_string();
    assert_eq!(server.wait_for_end(), (Some(1), error));
}

// ---------------------------------------------------------- any application

/// Whatever the application and whatever the request, but for the server's name, the
/// time, and the ports.
#[test]
fn applications_answer_through_3h_as_through_webserver2() {
    let requests = [
        get("/"),
        get("/hello/J%C3%BCrgen?a=b"),
        get("/slow"),
        get("/stream"),
        "HEAD /nothing HTTP/1.1\r\nHost: x\r\n\r\n".to_string(),
        format!(
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{}",
            "0123456789".repeat(10_000)
        ),
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\n12345\r\n3\r\n678\r\n0\r\n\r\n"
            .to_string(),
        "good morning\r\n\r\n".to_string(),
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
            "x".repeat(100_000)
        ),
    ];
    for application in [
        "wsgiapp:app",
        "echoapp:app",
        "validator:accesslog:validator:echoapp:app",
        "validator:streamapp:app",
        "streamapp:late",
        "streamapp:write",
        "streamapp:large",
        "validator:failapp:early",
        "failapp:late",
        "failapp:panic",
        "axumapp:app",
        "validator:axumapp:app",
    ] {
        let servers = ["webserver2", "webserver3h"];
        let servers = servers.map(|program| Server::start(&format!("{program} {application}")));
        for request in &requests {
            let [before, now] = servers.each_ref().map(|server| {
                let (answer, end) = server.connect().exchange(request.as_bytes());
                assert_eq!(end, End::Closed, "{application}");
                let answer = String::from_utf8(answer).expect("these answer with text");
                let lines = answer.split_inclusive('\n').map(|line| {
                    let varies = [
                        "Date: ",
                        "Content-Length: ", // of what echoapp says of the server
                        "SERVER_PORT=",
                        "REMOTE_PORT=",
                    ];
                    match varies.iter().find(|start| line.starts_with(*start)) {
                        Some(start) => format!("{start}...\n"),
                        None => line.replace("webserver3h", "webserver2"),
                    }
                });
                lines.collect::<String>()
            });
            let start: String = request.chars().take(100).collect();
            assert!(before.starts_with("HTTP/1.1 "), "{application}: {start}");
            assert!(before == now, "{application}: {start}: {before:?}, {now:?}");
        }
        assert_eq!(servers[1].lasting_zombies(), 0, "{application}");
    }
}

/// The application waits for the rest of a body.
#[test]
fn a_slow_application_holds_nobody_else_in_3h() {
    for (program, holds) in [("webserver2", true), ("webserver3h", false)] {
        let server = Server::start(&format!("{program} validator:echoapp:app"));
        let mut slow = server.connect();
        slow.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345");
        let mut others = [server.connect(), server.connect()];
        for other in &mut others {
            other.send(get("/other"));
        }
        server.wait_until_idle();
        for other in &mut others {
            assert_eq!(other.read_now().is_empty(), holds, "{program}");
        }
        let (answer, end) = slow.send("67890").read_to_end();
        assert!(answer.ends_with(b"\n\n1234567890"), "{program}");
        assert_eq!(end, End::Closed, "{program}");
    }
}

/// By a panic, which the gateway catches, and by what nobody can catch.
#[test]
fn an_application_that_fails_in_3h_hurts_its_own_client() {
    let mut server = Server::start("webserver3h validator:failapp:panic");
    let (mut patient, _) = silent_client(&server);
    for _ in 0..3 {
        let (answer, end) = server.connect().ask(&get("/"));
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert_eq!(end, End::Closed);

        let (mut unlucky, child) = silent_client(&server);
        let sent = kill(Pid::from_raw(child as i32), Signal::SIGABRT);
        assert_eq!(sent, Ok(()));
        assert_eq!(unlucky.read_to_end(), (Vec::new(), End::Closed));
    }
    let (answer, end) = patient.ask(&get("/?x"));
    assert!(answer.ends_with("\r\n\r\nx"), "{answer}");
    assert_eq!(end, End::Closed);
    let panicked = |server: &Server| server.errors().matches("application panicked\n").count();
    assert_eq!(panicked(&server), 3, "{}", server.errors());
    assert!(server.is_running());
    assert_eq!(server.lasting_zombies(), 0);
    assert_eq!(server.children(), []);
}

/// What an application finds around it, in `webserver3h` with this one built in: the
/// answer is a line of what it knows of itself and of a child that it has started.
const CURIOUS: &str = r#"
static VISITS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

fn curious(environ: Environ, mut start: gateway::StartResponse) -> gateway::Result<gateway::Body> {
    use nix::sys::wait::{waitid, Id};
    let visits = VISITS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
    let mut child = std::process::Command::new("true").spawn()?;
    // It has ended, and is left as it is, unless a handler has been quicker.
    let id = Id::Pid(nix::unistd::Pid::from_raw(child.id() as i32));
    let _ = waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    let child = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
    let Environ { multithread, multiprocess, run_once, .. } = environ;
    start("200 OK", Vec::new(), None)?;
    Ok(gateway::once(format!(
        "visits: {visits}; multithread, multiprocess, run_once: {multithread}, {multiprocess}, \
         {run_once}; child: {child}"
    )))
}
"#;

#[test]
fn an_application_of_3h_counts_in_vain_and_has_its_children_to_itself() {
    let course = course();
    let program = course.program("webserver3h").expect("it is in the table");
    let mut source = program.source();
    let loads = "apps::load(&name)?";
    assert!(source.contains(loads), "it loads its application otherwise");
    let own = "{ let _ = name; Box::new(curious) as Box<dyn Application> }";
    source = source.replace(loads, own) + CURIOUS;
    // The libraries stand where they are, and no framework is needed.
    let code = book::root().join("code");
    let lines = program.dependencies.iter().map(|line| {
        let line = line.replace("\"../", &format!("\"{}/", code.display()));
        line.replace("/apps\"", "/apps\", default-features = false")
    });
    let lines = lines.collect();
    let built = build_alone("curious", &[("curious".to_string(), source)], &lines);
    let folder = built.unwrap_or_else(|error| panic!("{error}"));
    let server = Server::start(&format!("{} curious", folder.join("curious").display()));
    for _ in 0..3 {
        let (answer, _) = server.connect().ask(&get("/"));
        let (_, found) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let wanted = "visits: 1; multithread, multiprocess, run_once: false, true, true; \
                      child: exit status: 0";
        assert_eq!(found, wanted);
    }
}

#[test]
fn what_3h_cannot_serve_is_one_clear_line() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().unwrap().to_string();
    let usage = "usage: webserver3h module:callable [--warm PATH] [ADDRESS]; \
                 try webserver3h wsgiapp:app\n";
    for (arguments, begins, ends) in [
        (vec![], usage, usage),
        (
            vec!["nosuch:app"],
            "there is no module `nosuch`; there are wsgiapp, ",
            "\n",
        ),
        (
            vec!["wsgiapp:app", &busy],
            &format!("bind {busy}: Address"),
            "; another address can be the last argument\n",
        ),
    ] {
        let mut command = Command::new(executable("webserver3h"));
        let (code, output, errors) = run_to_end(command.args(arguments));
        assert_eq!((code, output.as_str()), (Some(1), ""), "{errors}");
        assert!(
            errors.starts_with(begins) && errors.ends_with(ends),
            "{errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

// -------------------------------------------------- handlers, and none

/// Calls the handler of each program, with no child there, so that its last call
/// fails: what `errno` was before, it is after.
#[test]
fn handlers_leave_errno_alone() {
    // That of webserver3h is webserver3g's, in a program that takes longer to compile.
    let is_handler = |program: &Program| {
        let handler = program.source().contains("extern \"C\" fn reap(");
        handler && program.arguments.is_none()
    };
    let programs: Vec<Program> = course().programs.into_iter().filter(is_handler).collect();
    assert!(programs.len() >= 3, "{} have a handler", programs.len());
    let main = "fn main() -> ExitCode {";
    let other_main = "fn main() -> ExitCode {\n\
                      nix::errno::Errno::set_raw(77);\n\
                      reap(nix::libc::SIGCHLD);\n\
                      ExitCode::from(nix::errno::Errno::last_raw() as u8)\n\
                      }\n";
    let texts: Vec<(String, String)> = programs
        .iter()
        .map(|program| {
            let source = program.source();
            assert!(source.contains(main), "{}", program.name);
            let server = source.replace(main, "#[allow(dead_code)]\nfn server() -> ExitCode {");
            (program.name.clone(), format!("{server}\n{other_main}"))
        })
        .collect();
    let lines = programs
        .iter()
        .flat_map(|program| program.dependencies.clone());
    let built = build_alone("handlers", &texts, &lines.collect());
    let folder = built.unwrap_or_else(|error| panic!("{error}"));
    for program in programs {
        let (code, _, errors) = run_to_end(&mut Command::new(folder.join(&program.name)));
        assert_eq!(code, Some(77), "{}: {errors}", program.name);
    }
}

/// The server's output is a pipe that nobody reads, and it is full. So the server
/// is within `println!` when a child of it ends, and its handler prints too.
#[test]
fn a_handler_that_prints_aborts() {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let mut command = Command::new(executable("printing_handler"));
    command.arg("127.0.0.1:0").stdin(Stdio::null());
    command.stdout(writer.try_clone().unwrap());
    command.stderr(Stdio::piped()).env("RUST_BACKTRACE", "0");
    end_with_parent(&mut command);
    let mut server = Group(command.spawn().unwrap());
    let pid = server.0.id();

    let (mut reader, mut writer) = (File::from(reader), File::from(writer));
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let line = wait_for("the first line", || {
        let mut line = [0; 1024];
        let read = reader.read(&mut line).ok()?;
        Some(String::from_utf8_lossy(&line[..read]).into_owned())
    });
    let address = line.trim_end().strip_prefix("Serving HTTP on http://");
    let address = address.and_then(|rest| rest.strip_suffix("/ ..."));
    let address: SocketAddr = address.and_then(|address| address.parse().ok()).unwrap();
    // The server has the same open file, and writes nothing meanwhile.
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while writer.write(b"x").is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();

    let client = Client::connect(address);
    wait_for("a child", || processes::children(pid).pop());
    // It has forked, and can go no further than to its `println!`.
    wait_for_state(pid, 'S');
    // The child has nobody to answer, and nothing to print there.
    client.reset();
    let status = wait_for("the end of the server", || server.0.try_wait().unwrap());
    let stderr = server.0.stderr.take();
    drop(server); // or a child could hold the pipe open
    let mut errors = String::new();
    stderr.unwrap().read_to_string(&mut errors).unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!(signal, Some(Signal::SIGABRT as i32), "{errors}");
    assert!(errors.contains("RefCell already borrowed"), "{errors}");
    assert!(errors.contains("cannot unwind"), "{errors}");
}

/// A process that ends with the test, and all that it has started.
struct Group(std::process::Child);

impl Drop for Group {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.0.id() as i32);
        let _ = nix::sys::signal::killpg(group, Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

#[test]
fn a_reaper_that_is_no_handler_may_print() {
    let server = Server::start("webserver3g_signal_hook");
    let (_silent, is_killed) = silent_client(&server);
    let (mut client, ends) = silent_client(&server);
    let sent = kill(Pid::from_raw(is_killed as i32), Signal::SIGKILL);
    assert_eq!(sent, Ok(()));
    let line = format!("child pid {is_killed} was ended by SIGKILL\n");
    server.wait_for_output(&line);
    client.ask(&get("/"));
    server.wait_for_output(&format!("child pid {ends} exited with 0\n"));
}

#[test]
fn signal_hook_asks_for_restart_and_3g_does_not() {
    if !tests::has_tool("strace") {
        return left_out("what signal-hook asks of the kernel", "strace");
    }
    for (program, restarts) in [("webserver3g", false), ("webserver3g_signal_hook", true)] {
        let setup = Setup::new(program).under(&["strace", "-e", "trace=rt_sigaction"]);
        let server = setup.start().unwrap_or_else(|error| panic!("{error}"));
        let installed = wait_for("the handler", || {
            let errors = server.errors();
            let mut lines = errors.lines();
            let installs = lines.find(|line| line.contains("(SIGCHLD, {") && line.contains(" = "));
            installs.map(str::to_string)
        });
        assert_eq!(installed.contains("SA_RESTART"), restarts, "{installed}");
    }
}

/// Its parent has ended and been reaped; somebody else has taken it.
#[test]
fn a_grandchild_is_given_away() {
    let server = Server::start("double_fork");
    let mut client = server.connect();
    let stranger = wait_for("a grandchild without its parent", || {
        let ours = |process: &Process| process.group == server.pid();
        let mut others = processes::all().into_iter().filter(ours);
        let alone = others.find(|process| process.pid != server.pid())?;
        let given_away =
            alone.parent != server.pid() && processes::state(alone.parent) != Some('Z');
        (given_away && server.children().is_empty()).then_some(alone)
    });
    assert_eq!(client.send(get("/")).read_until(END), ANSWER);
    let line = format!(
        "child pid {}, parent pid {}\n",
        stranger.pid, stranger.parent
    );
    server.wait_for_output(&line);
}

// ------------------------------------------------------------------ client3

/// The original ends after its first connection, whatever it was asked for.
#[test]
fn client3_honours_both_flags() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut command = Command::new(executable("client3"));
    command.args(["--max-clients", "3", "--max-conns", "4"]);
    command.args(["--patience", "25", "--address", &address]);
    command.stdout(Stdio::piped());
    end_with_parent(&mut command);
    let mut client = Group(command.spawn().unwrap());
    let mut connections: Vec<TcpStream> = (0..12).map(|_| accept(&listener)).collect();
    let processes = processes::children(client.0.id());
    assert_eq!(processes.len(), 3, "{processes:?}");
    if processes::lists_descriptors() {
        // It has closed its copy of their end of the pipe, and reads the other.
        wait_for_state(client.0.id(), 'S');
        for process in processes {
            // One end of the pipe each, and the four.
            let inherited = processes::descriptors(client.0.id()).unwrap();
            assert_eq!(processes::descriptors(process.pid), Some(inherited + 4));
        }
    }
    for connection in &mut connections {
        let request = read_request(connection);
        assert!(request.starts_with(b"GET /hello HTTP/1.1\r\n"));
        connection.write_all(ANSWER.as_bytes()).unwrap();
    }
    drop(connections);
    let status = wait_for("its end", || client.0.try_wait().unwrap());
    let stdout = client.0.stdout.take();
    drop(client); // or a child could hold the pipe open
    let mut output = String::new();
    stdout.unwrap().read_to_string(&mut output).unwrap();
    let summary = "3 x 4 connections: 12 answered, 0 refused, 0 reset, 0 timed out\n";
    assert_eq!((status.code(), output.as_str()), (Some(0), summary));
}

/// A connection, if one comes in time, that is read and written in time.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let (connection, _) = wait_for("a connection", || listener.accept().ok());
    connection.set_nonblocking(false).unwrap();
    connection.set_read_timeout(Some(LIMIT)).unwrap();
    connection
}

fn read_request(connection: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    request
}

#[test]
fn client3_tells_what_became_of_each_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let mut connections: Vec<TcpStream> = (0..10).map(|_| accept(&listener)).collect();
        for connection in &mut connections {
            read_request(connection);
        }
        let rest = connections.split_off(9); // 1 with nothing
        for connection in connections.drain(..4) {
            { connection }.write_all(ANSWER.as_bytes()).unwrap();
        }
        for connection in connections.drain(..3) {
            let no_linger = nix::libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            let linger = nix::sys::socket::sockopt::Linger;
            nix::sys::socket::setsockopt(&connection, linger, &no_linger).unwrap();
        }
        (rest, connections.split_off(1)) // and 1 that is closed
    });
    let mut client = Command::new(executable("client3"));
    client.args([
        "--max-conns",
        "10",
        "--patience",
        "1",
        "--address",
        &address,
    ]);
    let (code, output, _) = run_to_end(&mut client);
    let summary = "1 x 10 connections: 4 answered, 0 refused, 3 reset, 2 timed out, \
                   1 closed without an answer\n";
    assert_eq!((code, output.as_str()), (Some(1), summary));
    drop(server.join().unwrap());

    // The listener has gone with its thread.
    let mut client = Command::new(executable("client3"));
    client.args([
        "--max-clients",
        "2",
        "--max-conns",
        "3",
        "--address",
        &address,
    ]);
    let (code, output, _) = run_to_end(&mut client);
    let summary = "2 x 3 connections: 0 answered, 6 refused, 0 reset, 0 timed out\n";
    assert_eq!((code, output.as_str()), (Some(1), summary));
}

#[test]
fn client3_says_when_its_own_limits_are_in_the_way() {
    let _alone = one_crowd_at_a_time();
    let server = Server::start("webserver3g");
    let address = server.address.to_string();
    let client = Setup::new("client3").most_descriptors(20);
    let (code, output, errors) = client.run(&["--max-conns", "50", "--address", &address]);
    assert_eq!((code, output.as_str()), (Some(1), ""));
    let error = "of a client: Too many open files (os error 24); \
                 raise `ulimit -n`, or ask for fewer --max-conns\n";
    assert!(errors.starts_with("connection "), "{errors}");
    assert!(errors.ends_with(error), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let client = Setup::new("client3").most_processes(10);
    let (code, output, errors) = client.run(&["--max-clients", "500", "--address", &address]);
    assert_eq!((code, output.as_str()), (Some(1), ""));
    let error = ": EAGAIN: Try again; `ulimit -u` limits your processes\n";
    assert!(errors.starts_with("fork client "), "{errors}");
    assert!(errors.ends_with(error), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn client3_refuses_what_it_cannot_do() {
    for (arguments, message) in [
        (["--max-clients", "many"], "invalid value 'many'"),
        (["--patience", "0"], "0 is not in 1..=86400"),
        (
            ["--address", "127.0.0.1"],
            "--address 127.0.0.1: invalid socket address",
        ),
    ] {
        let mut client = Command::new(executable("client3"));
        let (code, output, errors) = run_to_end(client.args(arguments));
        assert!(matches!(code, Some(1 | 2)), "{code:?}");
        assert_eq!(output, "");
        assert!(errors.contains(message), "{errors}");
    }
}

//! What a server is given by whoever starts it, and what it must not need: readers of
//! its output, an empty signal mask, no children, a network that keeps its word.

use super::{servers, ANSWER, ANY_APPLICATION, NAPPING};
use nix::sys::signal::{kill, SigSet, Signal};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use tests::client::{get, Client, End};
use tests::experiments::{silent_client, silent_clients, Audience, Unheard, END};
use tests::processes::{self, Process};
use tests::programs::{course, executable, runs_here};
use tests::server::{run_to_end, Group, Server, Setup};
use tests::{left_out, wait_for};

/// The servers of this part, and the one that runs applications.
fn all() -> impl Iterator<Item = String> {
    servers().into_iter().chain([ANY_APPLICATION.to_string()])
}

/// And those whose children stay.
fn with_workers() -> impl Iterator<Item = String> {
    let programs = ["webserver4a", "webserver4b", "webserver4c", "webserver4d"];
    let programs = programs.into_iter().filter(|name| runs_here(name));
    all().chain(programs.map(|program| format!("{program} validator:axumapp:app")))
}

/// A program of the course and its usual arguments.
fn command(program: &str) -> Command {
    let mut words = program.split_whitespace();
    let mut command = Command::new(executable(words.next().unwrap_or_default()));
    command.args(words).arg("127.0.0.1:0");
    command
}

/// The address in the first line of what a process prints, read byte by byte: the
/// rest is left in the pipe.
fn address(line: &str) -> std::net::SocketAddr {
    let address = line.trim_end().strip_prefix("Serving HTTP on http://");
    let address = address.and_then(|rest| rest.strip_suffix("/ ..."));
    address
        .and_then(|address| address.parse().ok())
        .expect("an address")
}

/// The first of the clients makes most servers complain.
#[test]
fn a_reader_of_the_output_that_has_gone_costs_no_client_anything() {
    for program in with_workers() {
        let ((mut output, stdout), (errors, stderr)) = (Audience::new(), Audience::new());
        let mut command = command(&program);
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let mut server = Group::spawn(&mut command);
        let address = address(&output.line());
        output.go();
        errors.go();
        let name = program.split(' ').next().unwrap_or_default();
        // Two end with a child, one of them on purpose.
        let once = ["webserver3e", "printing_handler"].contains(&name);
        let once = once || NAPPING.contains(&name);
        if !once {
            Client::connect(address).reset();
        }
        // Without a line feed it is kept in a buffer, until that is flushed.
        let unended = "GET / HTTP/1.1".to_string();
        let first = if program.contains(' ') {
            get("/")
        } else {
            unended
        };
        for request in [first, get("/")].iter().take(if once { 1 } else { 2 }) {
            let answer = Client::connect(address).send(request).read_until(END);
            assert!(answer.ends_with(END), "{program}: {answer}");
        }
        if !once {
            assert_eq!(server.0.try_wait().unwrap(), None, "{program} has ended");
        }
    }
}

/// Nor does one that was never there: the first line is printed before the first client.
#[test]
fn nobody_needs_to_read_the_first_line() {
    for program in with_workers() {
        let (_server, mut client) = Unheard::start(&program);
        let answer = client.send(get("/")).read_until(END);
        assert!(answer.ends_with(END), "{program}: {answer}");
    }
}

/// An error that nobody can read is an error all the same, and no panic.
#[test]
fn a_program_whose_errors_nobody_reads_ends_with_the_code_of_the_error() {
    let programs = servers().into_iter().map(|name| (name, vec![":1"]));
    let client = ("client3".to_string(), vec!["--address", ":1"]);
    let application = ("webserver3h".to_string(), vec!["wsgiapp:app", ":1"]);
    for (program, arguments) in programs.chain([client, application]) {
        let mut command = Command::new(executable(&program));
        command.args(arguments).stdin(Stdio::null());
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(Stdio::null()).stderr(writer);
        let mut process = Group::spawn(&mut command);
        let status = wait_for("its end", || process.0.try_wait().unwrap());
        assert_eq!(status.code(), Some(1), "{program}");
    }
}

/// Has the kernel's `accept` fail once. The connection stays in the queue.
#[test]
fn an_error_of_one_connection_ends_no_server() {
    if !tests::has_tool("strace") {
        return left_out("errors of accept", "strace");
    }
    let errors = [
        "ECONNABORTED",
        "EPERM",
        "EPROTO",
        "ENOPROTOOPT",
        "EOPNOTSUPP",
        "ENETDOWN",
        "ENETUNREACH",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "ETIMEDOUT",
        "ENONET",
    ];
    let fails = |program: &str, error: &str| {
        let inject = format!("inject=accept,accept4:error={error}:when=1");
        let setup = Setup::new(program).under(&["strace", "-qq", "-e", &inject]);
        let mut server = setup.start().unwrap_or_else(|error| panic!("{error}"));
        let answer = server.connect().send(get("/")).read_until(END);
        assert!(answer.ends_with(END), "{program}, {error}: {answer}");
        let injected = format!("= -1 {error} ");
        wait_for(&format!("{error} in the trace of {program}"), || {
            server.errors().contains(&injected).then_some(())
        });
        // The one that has met its EINTR may end.
        assert!(
            program == "webserver3e" || server.is_running(),
            "{program}, {error}"
        );
    };
    for error in errors {
        fails("webserver3g", error);
    }
    // And each of the others one of them; the list is the same in all.
    for (program, error) in all().zip(errors.iter().cycle()) {
        fails(&program, error);
    }
    let list = |source: &str| {
        let list = source
            .split_once("\nconst LOST: ")
            .expect("it has the list")
            .1;
        list.split_once("];").expect("which ends").0.to_string()
    };
    let programs = course().programs.iter().cloned();
    let ours = programs.filter(|program| {
        let source = program.source();
        program.file.starts_with("code/part3") && source.contains("fn accept(")
    });
    // But for the stage that comes before the list.
    let ours = ours.filter(|program| program.name != "accept_by_hand");
    let first = list(
        &course()
            .program("webserver3a")
            .expect("it is there")
            .source(),
    );
    for program in ours {
        assert_eq!(list(&program.source()), first, "{}", program.name);
    }
}

/// The kernel writes the flags of a descriptor in octal; this is `O_CLOEXEC`.
const CLOSE_ON_EXEC: u32 = 0o2_000_000;

#[test]
fn no_socket_outlives_an_exec() {
    if !std::path::Path::new("/proc/self/fdinfo").is_dir() {
        return left_out("flags of descriptors", "/proc/PID/fdinfo");
    }
    for program in with_workers() {
        let server = Server::start(&program);
        let _silent = server.connect();
        server.wait_until_idle();
        let group = processes::group(server.pid());
        let mut sockets = 0;
        for Process { pid, .. } in group {
            for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
                let number = entry.unwrap().file_name().into_string().unwrap();
                let target = std::fs::read_link(format!("/proc/{pid}/fd/{number}"));
                if !target.is_ok_and(|target| target.to_string_lossy().starts_with("socket:")) {
                    continue;
                }
                let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap();
                let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
                let flags = u32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
                assert!(
                    flags & CLOSE_ON_EXEC != 0,
                    "{program}: descriptor {number}: {info}"
                );
                sockets += 1;
            }
        }
        assert!(sockets >= 2, "{program}: the listener and the connection");
    }
}

/// A mask is inherited through `exec`.
#[test]
fn a_server_that_is_started_with_sigchld_blocked_reaps() {
    let reapers = [
        "webserver3f",
        "webserver3g",
        "webserver3g_signal_hook",
        "byte_to_itself",
        "count_answers",
        "refuse_politely",
        "read_again",
        "told_to_stop",
        "deaf_children",
        "last_words",
        ANY_APPLICATION,
    ];
    // And a stage that does not see to it.
    let programs = reapers.map(|name| (name, 0));
    for (program, zombies) in programs.into_iter().chain([("asks_when_told", 1)]) {
        let server = Server::spawn(program, with_a_blocked_signal(program))
            .unwrap_or_else(|error| panic!("{error}"));
        let answer = server.connect().send(get("/")).read_until(END);
        assert!(answer.ends_with(END), "{program}: {answer}");
        assert_eq!(server.lasting_zombies(), zombies, "{program}");
    }
}

/// A program that is started with SIGCHLD blocked: by GNU's `env`, where it is, since that
/// need not be forked off from these tests, who are large.
fn with_a_blocked_signal(program: &str) -> Command {
    static ENV: LazyLock<bool> = LazyLock::new(|| {
        let mut env = Command::new("env");
        run_to_end(env.args(["--block-signal=CHLD", "true"])).0 == Some(0)
    });
    let mut command = command(program);
    if *ENV {
        let mut env = Command::new("env");
        env.arg("--block-signal=CHLD").arg(command.get_program());
        env.args(command.get_args());
        return env;
    }
    // SAFETY: between fork and exec the closure calls sigprocmask alone.
    unsafe {
        command.pre_exec(|| Ok(SigSet::from(Signal::SIGCHLD).thread_block()?));
    }
    command
}

/// With SIGCHLD ignored, `wait` waits for all children and not for one.
#[test]
fn an_ignored_signal_does_not_keep_the_ninth_client_waiting() {
    let mut command = Command::new("bash");
    let script = "trap '' CHLD; exec \"$0\" \"$@\"";
    command
        .args(["-c", script])
        .arg(executable("limit_children"));
    let server = Server::spawn("limit_children", {
        command.arg("127.0.0.1:0");
        command
    });
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    let mut eight: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    server.wait_for_children(8);
    let mut ninth = server.connect();
    ninth.send(get("/"));
    drop(eight.pop());
    assert_eq!(ninth.read_until(END), ANSWER);
}

/// With SIGCHLD ignored a child leaves no zombie, and `waitpid` has nobody to reap.
#[test]
fn double_fork_serves_on_with_the_signal_ignored() {
    let mut command = Command::new("bash");
    let script = "trap '' CHLD; exec \"$0\" \"$@\"";
    command.args(["-c", script]).arg(executable("double_fork"));
    command.arg("127.0.0.1:0");
    let server = Server::spawn("double_fork", command);
    let mut server = server.unwrap_or_else(|error| panic!("{error}"));
    for _ in 0..3 {
        let answer = server.connect().send(get("/")).read_until(END);
        assert_eq!(answer, ANSWER, "{}", server.errors());
    }
    assert_eq!(server.errors_when_idle(), "");
    assert!(server.is_running());
}

/// Whoever executes a program hands on its children too. One of them is no child
/// that the server has forked.
#[test]
fn a_child_that_a_server_never_forked_is_not_counted() {
    for program in ["refuse_politely", "limit_children"] {
        let script = "sleep 1000 & exec \"$0\" \"$@\"";
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .arg(executable(program))
            .arg("127.0.0.1:0");
        let server = Server::spawn(program, command).unwrap_or_else(|error| panic!("{error}"));
        let stranger = server.wait_for_children(1)[0].pid;
        let (silent, _) = silent_client(&server);
        kill(Pid::from_raw(stranger as i32), Signal::SIGKILL).unwrap();
        let mut eight: Vec<Client> = (0..7).map(|_| server.connect()).collect();
        eight.push(silent);
        wait_for("eight children that wait", || {
            let waiting = |child: &&Process| child.pid != stranger && child.state == 'S';
            (server.children().iter().filter(waiting).count() == 8).then_some(())
        });
        let mut ninth = server.connect();
        ninth.send(get("/"));
        if program == "refuse_politely" {
            let answer = ninth.read_until("Too many clients.\n");
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        } else {
            server.wait_until_idle();
            assert_eq!(
                ninth.read_soon(),
                (Vec::new(), End::Silent),
                "the ninth is served"
            );
        }
        // One goes, and the next is served.
        drop(eight.pop());
        if program == "refuse_politely" {
            server.wait_until_idle();
            ninth = server.connect();
            ninth.send(get("/"));
        }
        assert_eq!(ninth.read_until(END), ANSWER, "{program}");
    }
}

/// nix has no name for such a signal, and reports the end as an error.
#[cfg(target_os = "linux")]
#[test]
fn a_child_that_a_real_time_signal_ends_is_reaped_and_counted() {
    let reapers = [
        "webserver3g",
        "webserver3g_signal_hook",
        "count_answers",
        "refuse_politely",
        "limit_children",
        ANY_APPLICATION,
    ];
    for program in reapers {
        let server = Server::start(program);
        for _ in 0..10 {
            let (mut client, child) = silent_client(&server);
            // SAFETY: kill makes a system call and touches no memory.
            let sent = unsafe { nix::libc::kill(child as i32, nix::libc::SIGRTMIN()) };
            assert_eq!(sent, 0, "{program}: {}", nix::errno::Errno::last());
            assert_eq!(client.read_to_end(), (Vec::new(), End::Closed), "{program}");
            let line = match program {
                "webserver3g_signal_hook" => "a child was ended by a real-time signal\n",
                _ => "",
            };
            server.wait_for_output(line);
            if program == ANY_APPLICATION {
                let line = format!("child pid {child}: signal: {}", nix::libc::SIGRTMIN());
                wait_for("the line about its end", || {
                    server.errors().contains(&line).then_some(())
                });
            }
            if program != "limit_children" {
                wait_for("the reaping", || server.children().is_empty().then_some(()));
            } else {
                server.wait_until_idle();
                let answer = server.connect().send(get("/")).read_until(END);
                assert_eq!(answer, ANSWER);
                wait_for("one zombie at most", || {
                    (server.children().len() < 2).then_some(())
                });
                // Its zombie is taken with the next client.
                break;
            }
        }
        let answer = server.connect().send(get("/")).read_until(END);
        assert!(answer.ends_with(END), "{program}: {answer}");
    }
}

/// The handler of `webserver3f` waits for the child that the signal speaks of, and a
/// signal may speak of nobody.
#[test]
fn a_stray_signal_freezes_a_handler_that_waits() {
    for (program, freezes) in [("webserver3f", true), ("webserver3g", false)] {
        let server = Server::start(program);
        let silent = silent_clients(&server, 1);
        server.wait_until_idle();
        server.signal(Signal::SIGCHLD);
        server.wait_until_idle();
        let mut other = server.connect();
        other.send(get("/"));
        server.wait_until_idle();
        assert_eq!(other.read_now().is_empty(), freezes, "{program}");
        drop(silent);
        if freezes {
            assert_eq!(other.read_until(END), ANSWER);
        }
    }
}

/// The child has the handler, and the pair of sockets is one with its parent's.
#[test]
fn a_signal_to_a_child_of_signal_hook_wakes_the_parent() {
    if !tests::has_tool("strace") {
        return left_out("who is woken", "strace");
    }
    let setup = Setup::new("webserver3g_signal_hook");
    let setup = setup.under(&["strace", "-qq", "-e", "trace=recvfrom", "-e", "signal=none"]);
    let server = setup.start().unwrap_or_else(|error| panic!("{error}"));
    let tracee = wait_for("the server under strace", || server.children().pop()).pid;
    let _silent = server.connect();
    let child = wait_for("its child", || processes::children(tracee).pop()).pid;
    server.wait_until_idle();
    // The byte that signal-hook's handler sends; strace shows it once the call has ended.
    let woken = |server: &Server| server.errors().matches("\"X\"").count();
    let before = woken(&server);
    kill(Pid::from_raw(child as i32), Signal::SIGCHLD).unwrap();
    wait_for("the byte in the parent", || {
        (woken(&server) > before).then_some(())
    });
}

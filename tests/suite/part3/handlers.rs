//! What a signal handler may do, and servers without one.

use super::ANSWER;
use crate::changed;
use book::course::Program;
use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tests::client::{get, Client};
use tests::experiments::{silent_client, END};
use tests::processes::{self, Process};
use tests::programs::{course, executable};
use tests::server::{run_to_end, wait_for_state, Group, Server, Setup};
use tests::{at_last, left_out, read_once, wait_for};

/// A stage on the way to `webserver3e`, which has one courtesy less.
const CARELESS: &str = "asks_when_told";

/// Calls the handler of each program, with no child there, so that its last call
/// fails: what `errno` was before, it is after. (`tests/build.rs` puts the call in.)
#[test]
fn handlers_leave_errno_alone() {
    let is_handler = |program: &&Program| program.source().contains("extern \"C\" fn reap(");
    let programs: Vec<&Program> = course().programs.iter().filter(is_handler).collect();
    assert!(programs.len() >= 4, "{} have a handler", programs.len());
    for program in programs {
        let changed = changed(&format!("handler.{}", program.name));
        let (code, _, errors) = run_to_end(&mut Command::new(changed));
        let careless = program.name == CARELESS;
        let left = if careless { Errno::ECHILD as i32 } else { 77 };
        assert_eq!(code, Some(left), "{}: {errors}", program.name);
    }
}

/// The server's output is a pipe that nobody reads, and it is full. So the server
/// is within `println!` when a child of it ends, and its handler prints too.
#[test]
fn a_handler_that_prints_aborts() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = Command::new(executable("printing_handler"));
    command.arg("127.0.0.1:0").stdin(Stdio::null());
    command.stdout(writer.try_clone().unwrap());
    command.stderr(Stdio::piped()).env("RUST_BACKTRACE", "0");
    let mut server = Group::spawn(&mut command);
    let pid = server.0.id();

    let (mut reader, mut writer) = (
        File::from(OwnedFd::from(reader)),
        File::from(OwnedFd::from(writer)),
    );
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    // Both, or the second would find the pipe full, and the server would not get to `accept`.
    let mut came = Vec::new();
    let lines = wait_for("the first two lines", || {
        let mut piece = [0; 1024];
        let read = read_once(&mut reader, &mut piece).ok()?;
        came.extend_from_slice(&piece[..read]);
        let lines = String::from_utf8_lossy(&came).into_owned();
        (lines.matches('\n').count() == 2).then_some(lines)
    });
    let line = lines.lines().next().unwrap_or_default();
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

/// Waits until a server that sleeps for that long has slept.
fn wait_for_the_end_of_a_gap(gap: Duration) {
    let end = Instant::now() + gap + gap / 2;
    wait_for("the end of the gap", || {
        (Instant::now() > end).then_some(())
    });
}

/// A second lies between the look and `accept`, and a child ends within it.
#[test]
fn a_flag_is_missed_in_the_gap_and_a_mask_closes_it() {
    for program in ["opens_as_it_waits", "byte_to_itself"] {
        let server = Server::start(program);
        let (mut client, child) = silent_client(&server);
        server.wait_for_state('S');
        assert_eq!(client.ask(&get("/")).0, ANSWER, "{program}");
        server.wait_for_output(&format!("child pid {child} exited with 0\n"));
    }
    let missed = at_last(|| {
        let server = Server::start("looks_at_a_flag");
        let mut client = server.connect();
        // The gap has not begun before the last look that finds no child.
        let mut began = Instant::now();
        let child = wait_for("a child", || {
            let look = Instant::now();
            let child = server.children().first().map(|child| child.pid);
            if child.is_none() {
                began = look;
            }
            child
        });
        server.wait_for_state('S'); // it has looked
        assert_eq!(client.ask(&get("/")).0, ANSWER);
        let line = format!("child pid {child} exited with 0\n");
        is_kept_as_a_zombie(&server, &line, began, Duration::from_secs(1))
    });
    assert!(missed);
}

/// Whether a child that has ended, or is about to, is still a zombie when a gap is over
/// which has not begun before `began`, without the line about it, which comes with the next
/// client. It must be, unless this test was kept from the processor for the whole gap.
fn is_kept_as_a_zombie(server: &Server, line: &str, began: Instant, gap: Duration) -> bool {
    wait_for("the end of the child", || {
        (server.zombies() > 0 || server.output().contains(line)).then_some(())
    });
    if began.elapsed() >= gap {
        return false;
    }
    wait_for_the_end_of_a_gap(gap);
    assert!(!server.output().contains(line), "{}", server.output());
    assert_eq!(server.zombies(), 1);
    // It has the server look again.
    server.connect();
    server.wait_for_output(line);
    true
}

/// It asks, then waits for two seconds, and then throws away the bytes.
#[test]
fn a_byte_that_is_emptied_unasked_leaves_a_zombie() {
    let left = at_last(|| {
        let server = Server::start("asks_before_it_empties");
        let (_silent, is_killed) = silent_client(&server);
        let (mut client, ends) = silent_client(&server);
        let began = Instant::now();
        client.ask(&get("/"));
        server.wait_for_output(&format!("child pid {ends} exited with 0\n"));
        kill(Pid::from_raw(is_killed as i32), Signal::SIGKILL).unwrap();
        let line = format!("child pid {is_killed} was ended by SIGKILL\n");
        is_kept_as_a_zombie(&server, &line, began, Duration::from_secs(2))
    });
    assert!(left);
}

/// Its grandchildren come to process 1 of the namespace, which is itself, or one that
/// reaps.
#[cfg(target_os = "linux")]
#[test]
fn process_1_has_the_orphans_to_reap() {
    let tool = [
        "unshare",
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--kill-child",
    ];
    let mut probe = Command::new(tool[0]);
    let allowed = probe.args(&tool[1..]).arg("true").status();
    if !allowed.is_ok_and(|status| status.success()) {
        return left_out("a server that is process 1", "namespaces of processes");
    }
    let reaper = executable("reaper").display().to_string();
    for (first, zombies) in [(None, 3), (Some(reaper.as_str()), 0)] {
        let tool: Vec<&str> = tool.iter().copied().chain(first).collect();
        let setup = Setup::new("double_fork").under(&tool);
        let server = setup.start().unwrap_or_else(|error| panic!("{error}"));
        for _ in 0..3 {
            assert_eq!(server.connect().ask(&get("/")).0, ANSWER);
        }
        let process_1 = server.wait_for_children(1)[0].pid;
        let dead = || {
            let children = processes::children(process_1);
            children.iter().filter(|child| child.state == 'Z').count()
        };
        wait_for("the zombies of process 1", || {
            (dead() == zombies).then_some(())
        });
        server.wait_until_idle();
        assert_eq!(dead(), zombies, "{first:?}");
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

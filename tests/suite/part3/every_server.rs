//! What all servers of this part have in common.

use super::{servers, ANSWER, ANY_APPLICATION, NAPPING};
use nix::sys::signal::Signal;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use tests::client::{get, Client};
use tests::experiments::END;
use tests::processes::{self, Process};
use tests::programs::{executable, folder};
use tests::server::{run_to_end, Server};
use tests::terminal::Terminal;
use tests::{beside_each_other, wait_for, LIMIT};

#[test]
fn every_server_says_where_it_serves_and_gives_the_answer_of_the_series() {
    for program in servers() {
        let server = Server::start(&program);
        let (address, process) = (server.address, server.pid());
        let lines = format!("Serving HTTP on http://{address}/ ...\nprocess {process}\n");
        assert_eq!(server.output_when_idle(), lines, "{program}");
        let mut client = server.connect();
        let answer = client.send(get("/hello")).read_until(END);
        assert_eq!(answer, ANSWER, "{program}");
        server.wait_for_output(&get("/hello"));
        // Of its buffer what came, and no more.
        assert!(!server.output().contains('\0'), "{program}");
    }
}

#[test]
fn every_server_says_clearly_why_it_cannot_start() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    for program in servers() {
        let usage = format!("usage: {program} [ADDRESS]\n");
        for (arguments, code, begins) in [
            (vec![&address[..]], 1, format!("bind {address}: Address")),
            (
                vec!["--help"],
                1,
                "bind --help: invalid socket address; ".into(),
            ),
            (
                vec![":7780"],
                1,
                "bind :7780: no host before the port; ".into(),
            ),
            (vec!["127.0.0.1:0", "again"], 2, usage.clone()),
        ] {
            let mut command = Command::new(executable(&program));
            let (ended, output, errors) = run_to_end(command.args(arguments));
            assert_eq!(
                (ended, output.as_str()),
                (Some(code), ""),
                "{program}: {errors}"
            );
            let one_line = errors.lines().count() == 1;
            let right = errors.starts_with(&begins) && errors.ends_with(&usage);
            assert!(right && one_line, "{program}: {errors}");
        }
    }
}

/// A terminal sends SIGINT to the whole group of the command that runs in it.
#[test]
fn every_server_stops_when_told_and_so_do_its_children() {
    let programs: Vec<String> = servers()
        .into_iter()
        .chain([ANY_APPLICATION.to_string()])
        .collect();
    beside_each_other(&programs, |program| {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let mut server = Server::start(program);
            let _silent = [server.connect(), server.connect()];
            server.wait_until_idle();
            // The grandchildren of double_fork are in its group alone.
            let pid = server.pid();
            let mut ours = processes::all();
            ours.retain(|process| process.group == pid || process.parent == pid);
            server.signal_group(signal);
            let (code, _) = server.wait_for_end();
            // Two do at SIGTERM what they have been told, and end by themselves.
            let by_itself = ["told_to_stop", "last_words"].contains(&program.as_str());
            let by_itself = by_itself && signal == Signal::SIGTERM;
            let how = by_itself.then_some(0);
            assert_eq!(code, how, "{program} ends at {signal}");
            for process in ours {
                wait_for(&format!("the end of {process:?} of {program}"), || {
                    matches!(processes::state(process.pid), None | Some('Z')).then_some(())
                });
            }
        }
    });
}

#[test]
fn ctrl_c_stops_a_server_and_its_children() {
    let mut terminal = Terminal::open(&folder(), &[]);
    terminal.command("./webserver3g 127.0.0.1:0");
    let line = wait_for("the first line", || {
        let screen = terminal.screen();
        Some(screen.split_once('\n')?.0.to_string())
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
    let not = ["webserver3e", "printing_handler"];
    let serve_on = |name: &String| !not.iter().chain(&NAPPING).any(|not| name == not);
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

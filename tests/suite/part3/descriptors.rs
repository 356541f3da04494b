//! Descriptors that the parent leaks.

use super::{one_crowd_at_a_time, ANSWER, NAPPING};
use book::course::Program;
use nix::sys::signal::Signal;
use tests::client::{get, Client, End};
use tests::experiments::END;
use tests::programs::course;
use tests::server::{Server, Setup};
use tests::{beside_each_other, left_out, processes};

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
fn a_copy_is_closed_by_its_scope_and_a_number_by_nobody() {
    for (program, closes) in [("dropped_by_scope", true), ("number_without_owner", false)] {
        let server = Server::start(program);
        let mut client = server.connect();
        assert_eq!(client.send(get("/")).read_until(END), ANSWER, "{program}");
        server.wait_until_idle();
        let (_, end) = client.read_soon();
        assert_eq!(end == End::Closed, closes, "{program}: {end:?}");
    }
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

/// The servers of Parts 1 to 3 that serve with one process, and those that fork for a
/// client. Those of Part 4 do neither.
fn each_kind() -> (Vec<String>, Vec<String>) {
    let programs = course().programs.iter().cloned();
    let servers = programs.filter(|program| {
        program.serves && !program.is_stage() && !program.file.starts_with("code/part4/")
    });
    let (fork, others): (Vec<_>, Vec<_>) =
        servers.partition(|program| program.source().contains("fork()"));
    let command = |program: Program| match program.arguments {
        Some(arguments) => format!("{} {arguments}", program.name),
        None => program.name,
    };
    let commands = |programs: Vec<Program>| programs.into_iter().map(command).collect();
    (commands(others), commands(fork))
}

#[test]
fn a_server_of_one_process_holds_nothing_of_who_was_served() {
    if !processes::lists_descriptors() {
        return left_out("descriptors", "/proc/PID/fd");
    }
    let (mut servers, _) = each_kind();
    assert!(servers.len() > 10, "{servers:?}");
    // But for those that nap with their first client.
    servers.retain(|name| !NAPPING.contains(&name.as_str()));
    beside_each_other(&servers, |program| {
        let server = Server::start(program);
        server.connect().ask(&get("/"));
        server.wait_until_idle();
        let before = server.descriptors();
        for _ in 0..10 {
            let (answer, end) = server.connect().ask(&get("/"));
            assert!(answer.starts_with("HTTP/1.1 "), "{program}: {answer}");
            assert_eq!(end, End::Closed, "{program}");
        }
        server.connect().reset();
        drop(server.connect());
        server.wait_until_idle();
        assert_eq!(server.descriptors(), before, "{program}");
    });
}

/// Clients who say nothing, so that no child ends. What each child holds: what the
/// server holds, and its connection in place of the listener.
#[test]
fn a_parent_holds_no_connection_and_a_child_its_own_alone() {
    if !processes::lists_descriptors() {
        return left_out("descriptors", "/proc/PID/fd");
    }
    let (_, servers) = each_kind();
    assert!(servers.len() > 10, "{servers:?}");
    beside_each_other(&servers, |program| {
        let server = Server::start(program);
        server.wait_until_idle();
        let before = server.descriptors();
        let clients: Vec<Client> = (0..5).map(|_| server.connect()).collect();
        server.wait_until_idle();
        let kept = if program == "webserver3d" {
            clients.len()
        } else {
            0
        };
        let held = server.descriptors();
        assert_eq!(held, before + kept, "{program} holds its clients");
        let mut group = processes::group(server.pid());
        group.retain(|process| process.pid != server.pid());
        assert_eq!(group.len(), clients.len(), "{program}: {group:?}");
        group.sort_by_key(|process| process.pid);
        // The pipe's end that only the parent reads.
        let name = program.split(' ').next().unwrap_or_default();
        let pipes = ["count_answers", "webserver3h", "time_is_up", "take_turns"];
        let gone = usize::from(pipes.contains(&name));
        for (place, child) in group.iter().enumerate() {
            let inherited = if kept > 0 { place } else { 0 };
            let holds = processes::descriptors(child.pid);
            let own = before + inherited - gone;
            assert_eq!(holds, Some(own), "child {place} of {program}");
        }
        // Nobody listens any more when the parent has gone, though its children are there.
        server.signal(Signal::SIGKILL);
        server.wait_for_state('Z');
        let refused = std::net::TcpStream::connect(server.address).is_err();
        assert!(refused, "a child of {program} holds the listener");
        drop(clients);
    });
}

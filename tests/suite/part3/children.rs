//! A child for each client.

use super::ANSWER;
use nix::sys::signal::Signal;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use tests::client::{get, End};
use tests::experiments::{silent_clients, END};
use tests::server::{wait_for_state, Server};
use tests::{left_out, processes};

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

/// The parent is gone, and the children of its clients have the listener.
#[test]
fn a_listener_that_children_keep_is_served_by_nobody() {
    let server = Server::start("child_serves");
    let clients = silent_clients(&server, 2);
    server.signal(Signal::SIGKILL);
    wait_for_state(server.pid(), 'Z');
    let mut visitor = server.connect();
    assert_eq!(
        visitor.send(get("/")).read_soon(),
        (Vec::new(), End::Silent)
    );
    let taken = TcpListener::bind(server.address).map(drop);
    let taken = taken.map_err(|error| error.kind());
    assert_eq!(taken, Err(ErrorKind::AddrInUse));
    drop(clients);
}

/// Nobody has told them to end, so they do what their parent does.
#[test]
fn children_that_come_back_serve_beside_their_parent() {
    let server = Server::start("child_comes_back");
    let mut client = server.connect();
    assert_eq!(client.ask(&get("/")).0, ANSWER);
    let [child] = &server.wait_for_children(1)[..] else {
        unreachable!("it is one");
    };
    server.signal(Signal::SIGKILL);
    wait_for_state(server.pid(), 'Z');
    assert_eq!(server.connect().ask(&get("/")).0, ANSWER, "of {child:?}");
}

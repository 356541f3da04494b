//! Python in the threads of a worker.

use super::THREADS;
use tests::client::{get, Client};
use tests::python::{can_check, Site, Visitor};
use tests::server::Server;

fn together(threads: &str) -> (Site, Server) {
    let site = Site::new();
    let arguments = ["together:app", "--workers", "1", "--threads", threads];
    let server = site.serve(THREADS, &arguments);
    (site, server)
}

fn four(server: &Server, path: &str) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    clients
        .iter_mut()
        .for_each(|client| _ = client.send(get(path)));
    clients
}

/// The interpreter's lock is given back by who waits: four wait for each other.
#[test]
fn handlers_that_wait_do_so_beside_each_other() {
    if !can_check("threads of Python's that wait") {
        return;
    }
    let (_site, server) = together("4");
    for mut client in four(&server, "/meet") {
        let (answer, _) = client.read_to_end();
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", server.errors());
    }
    // Three of them are in there, and the fourth is in the kernel's queue.
    let (_site, server) = together("3");
    let mut clients = four(&server, "/meet");
    server.wait_until_idle();
    assert_eq!(server.output().matches("< GET /meet ").count(), 3);
    let nobody = |client: &mut Client| client.read_now().is_empty();
    assert!(clients.iter_mut().all(nobody));
}

/// And kept by who computes: nobody else is answered before that is over.
#[test]
fn a_handler_that_computes_holds_up_the_others() {
    if !can_check("threads of Python's that compute") {
        return;
    }
    let site = Site::new();
    let arguments = ["probes:meanwhile", "--workers", "1", "--threads", "4"];
    let server = site.serve(THREADS, &arguments);
    for (path, answered) in [("/compute", "0"), ("/wait", "3")] {
        let mut long = server.connect();
        long.send(get(path));
        server.wait_for_output(&format!("< GET {path} "));
        if path == "/wait" {
            server.wait_until_idle(); // it waits now
        }
        for _ in 0..3 {
            Visitor::new(&server).get("/");
        }
        let (answer, _) = long.read_to_end();
        let answer = String::from_utf8_lossy(&answer);
        let wanted = format!("\r\n\r\n{answered}");
        assert!(answer.ends_with(&wanted), "{path}: {answer}");
    }
}

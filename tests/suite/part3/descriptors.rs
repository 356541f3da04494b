//! Descriptors that the parent leaks.

use super::{one_crowd_at_a_time, ANSWER};
use nix::sys::signal::Signal;
use tests::client::{get, Client, End};
use tests::experiments::END;
use tests::server::{Server, Setup};

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

//! What is done to servers that have children, so that a failure comes every time
//! or never. Nothing here waits for a fixed time and hopes: it waits until
//! the server and its children have nothing to do.

use crate::client::{get, Client};
use crate::port::Port;
use crate::processes::{self, Process};
use crate::programs;
use crate::server::{wait_for_state, Group, Server};
use crate::{wait_for, LIMIT};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// How long all must sleep until they are taken to be waiting for somebody else.
/// What wakes a process makes it `R` at once, however busy the machine is.
const ASLEEP: Duration = Duration::from_millis(100);

/// How long nobody looks whether they sleep. A look at all processes is work, and those
/// who are waited for need the processor. So all who wait look at the same time, and share
/// what they see.
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// Sleeps until it is time for the next look.
fn until_the_next_look() {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    let since = FIRST.elapsed().as_nanos() % BETWEEN_LOOKS.as_nanos();
    std::thread::sleep(BETWEEN_LOOKS - Duration::from_nanos(since as u64));
}

/// More of the processor's time than a server of the course takes for anything that
/// these experiments ask of it.
const A_LOT: Duration = Duration::from_millis(400);

/// The end of the answer that the servers of the series give.
pub const END: &str = "Hello, World!\n";

/// What `sh -c` makes of a server, for [`Setup::under`](crate::server::Setup::under): its
/// outputs go into a file of one block, of 512 or 1,024 bytes, and its first line comes
/// out here. The file's name is taken away at once.
pub const WITH_A_LOG_OF_ONE_BLOCK: &str = "\
    log=$(mktemp); (ulimit -f 1; exec \"$0\" \"$@\" > \"$log\" 2>&1) & \
    until [ -s \"$log\" ]; do kill -0 $! || exit; sleep 0.01; done; \
    head -n 1 \"$log\"; rm \"$log\"; wait $!";

/// A server whose outputs have had no reader from the first line on.
pub struct Unheard {
    /// Its process, which ends with this, and its group with it.
    pub group: Group,
    /// Where it serves.
    pub address: SocketAddr,
    _port: Port,
}

impl Unheard {
    /// Starts a program, and connects the first client.
    ///
    /// # Panics
    ///
    /// When it does not serve.
    pub fn start(program: &str) -> (Unheard, Client) {
        for _ in 0..10 {
            // The server cannot tell which port it has found.
            let port = Port::free();
            let address = SocketAddr::from(([127, 0, 0, 1], port.number));
            let (reader, writer) = std::io::pipe().expect("there are descriptors enough");
            drop(reader);
            let errors = writer.try_clone().expect("there are descriptors enough");
            let mut command = programs::command(&format!("{program} {address}"));
            command.stdin(Stdio::null()).stdout(writer).stderr(errors);
            let mut server = Unheard {
                group: Group::spawn(&mut command),
                address,
                _port: port,
            };
            let client = wait_for("a connection, or the end of the server", || {
                let ended = matches!(server.group.0.try_wait(), Ok(Some(_)));
                match Client::try_connect(address) {
                    Ok(client) => Some(Some(client)),
                    Err(_) => ended.then_some(None),
                }
            });
            if let Some(client) = client {
                return (server, client);
            }
        }
        panic!("{program} does not serve without a reader");
    }
}

/// The reader of a program's output, who can be seen to have gone.
pub struct Audience {
    reader: BufReader<PipeReader>,
    writer: PipeWriter,
}

impl Audience {
    /// The reader, and what the program is to write into.
    pub fn new() -> (Audience, PipeWriter) {
        let (reader, writer) = std::io::pipe().expect("there are descriptors enough");
        let ours = writer.try_clone().expect("there are descriptors enough");
        let reader = BufReader::new(reader);
        (
            Audience {
                reader,
                writer: ours,
            },
            writer,
        )
    }

    /// The next line.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line);
        read.expect("a pipe can be read");
        line
    }

    /// The reader alone, who is told when the program has ended.
    pub fn stay(self) -> BufReader<PipeReader> {
        self.reader
    }

    /// Goes, and waits until nobody is left who could read: between fork and exec, what
    /// another thread starts holds a copy of everything that is open here.
    pub fn go(self) {
        drop(self.reader);
        let writer = self.writer;
        wait_for("the end of all readers", || {
            let mut writer = [PollFd::new(writer.as_fd(), PollFlags::empty())];
            poll(&mut writer, PollTimeout::ZERO).expect("it is a descriptor");
            let gone = writer[0].revents()?.contains(PollFlags::POLLERR);
            gone.then_some(())
        });
    }
}

impl Server {
    /// Waits until the server and all that it has started have nothing to do, and
    /// gives its children, also those that have ended and were not reaped.
    pub fn wait_until_idle(&self) -> Vec<Process> {
        assert!(
            self.rests(false),
            "the server and its children are not idle"
        );
        self.children()
    }

    /// Whether the server and all that it has started come to have nothing to do. One
    /// of them that takes a lot of the processor's time before that runs without end.
    pub fn comes_to_rest(&self) -> bool {
        self.rests(true)
    }

    /// Waits until they have nothing to do. False when they go on for too long, which
    /// they may tell by the processor's time.
    fn rests(&self, by_time: bool) -> bool {
        let began = Instant::now();
        let mut before = None;
        let mut since = Instant::now();
        let mut last = Vec::new();
        loop {
            // Two looks that far apart, however long this thread had to wait between.
            let looked = Instant::now();
            let group = processes::group(self.pid());
            let used = processes::processor_time(&group);
            let busy = |process: &Process| matches!(process.state, 'R' | 'D' | 'U');
            if group != last || group.iter().any(busy) {
                since = Instant::now();
            }
            last = group;
            if looked.saturating_duration_since(since) > ASLEEP {
                return true;
            }
            let before = *before.get_or_insert(used.unwrap_or_default());
            let endless = match used {
                Some(used) => used.saturating_sub(before) > A_LOT,
                None => began.elapsed() > LIMIT / 3,
            };
            if by_time && endless || began.elapsed() > LIMIT {
                return false;
            }
            until_the_next_look();
        }
    }

    /// How many zombies are left when nobody has anything to do any more.
    pub fn lasting_zombies(&self) -> usize {
        let children = self.wait_until_idle();
        children.iter().filter(|child| child.state == 'Z').count()
    }
}

/// Connects clients who say nothing, and waits until each has a child.
pub fn silent_clients(server: &Server, number: usize) -> Vec<Client> {
    let before = server.children().len();
    let clients = (0..number).map(|_| server.connect()).collect();
    server.wait_for_children(before + number);
    clients
}

/// Connects a client who says nothing, and gives it and the number of its child.
pub fn silent_client(server: &Server) -> (Client, u32) {
    let before = server.children();
    let client = server.connect();
    let is_new = |child: &Process| !before.iter().any(|old| old.pid == child.pid);
    let child = wait_for("a new child", || server.children().into_iter().find(is_new));
    (client, child.pid)
}

/// Lets `number` children end while the server cannot look, and gives how many stay
/// as zombies when it can.
///
/// The server is stopped, so the signals of its children meet in the one bit that
/// the kernel keeps of them.
pub fn children_that_end_together(server: &Server, number: usize) -> usize {
    let mut clients = silent_clients(server, number);
    server.wait_until_idle();
    server.signal(Signal::SIGSTOP);
    server.wait_for_state('T');
    for client in &mut clients {
        let answer = client.send(get("/")).read_until(END);
        assert!(answer.ends_with(END), "a child answered {answer:?}");
    }
    server.wait_for_zombies(number);
    server.signal(Signal::SIGCONT);
    server.lasting_zombies()
}

/// Lets a child end while the server sleeps in `accept`.
pub fn child_that_ends_during_accept(server: &Server) {
    let mut client = server.connect();
    server.wait_for_children(1);
    // Its one child sleeps in `read`, and it in `accept`.
    server.wait_until_idle();
    let answer = client.send(get("/")).read_until(END);
    assert!(answer.ends_with(END), "the child answered {answer:?}");
}

/// Whether a client has to wait while a child of somebody else is stopped.
pub fn is_frozen_by_a_stopped_child(server: &Server) -> bool {
    let (mut held, child) = silent_client(server);
    let signal = |signal| {
        let sent = kill(Pid::from_raw(child as i32), signal);
        sent.expect("the child waits for its client");
    };
    server.wait_until_idle();
    signal(Signal::SIGSTOP);
    wait_for_state(child, 'T');
    let mut other = server.connect();
    other.send(get("/"));
    server.wait_until_idle();
    let early = other.read_now();

    signal(Signal::SIGCONT);
    let answer = held.send(get("/")).read_until(END);
    assert!(
        answer.ends_with(END),
        "the stopped child answered {answer:?}"
    );
    let frozen = early.is_empty();
    if frozen {
        let late = other.read_until(END);
        assert!(late.ends_with(END), "the client who waited got {late:?}");
    }
    frozen
}

/// Connects clients who say nothing until the server has ended, `most` at most,
/// and gives them. If it has children before, they are all it will have.
pub fn crowd(server: &mut Server, most: usize) -> Vec<Client> {
    let stay = !server.wait_until_idle().is_empty();
    let mut clients = Vec::new();
    while clients.len() < most && server.is_running() {
        // The server may end at any time.
        let Ok(client) = Client::try_connect(server.address) else {
            break;
        };
        clients.push(client);
        wait_for("a child, or the end of the server", || {
            let served = stay || server.children().len() >= clients.len();
            (served || !server.is_running()).then_some(())
        });
    }
    clients
}

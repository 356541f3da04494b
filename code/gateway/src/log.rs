//! The server's own words: on the standard output what it did, on the standard
//! error what went wrong.
//!
//! Whoever reads them may stop reading, or be gone. That is no client's affair, so
//! nothing here fails or panics, and nothing waits, unless another process fills the
//! same pipe between `poll` and `write`. Nor does anything hold a lock, which a
//! `fork` in another thread would leave locked in the child for good.

use nix::libc::{c_int, PIPE_BUF};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};
use nix::unistd::write;
use nix::{errno::Errno, Result};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

// ANCHOR: print
/// Writes `text` to the standard output, as it stands.
pub fn print(text: &[u8]) {
    static STATE: State = State::new();
    write_now(io::stdout().as_fd(), text, &STATE);
}

/// Writes a line to the standard error, made [`printable`](crate::printable): a
/// client's words may be in it.
pub fn complain(line: impl std::fmt::Display) {
    let line = crate::printable(&line.to_string(), "") + "\n";
    let _ = Stderr.write_all(line.as_bytes());
}

/// The standard error, as it stands and without a lock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        static STATE: State = State::new();
        write_now(io::stderr().as_fd(), text, &STATE);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
// ANCHOR_END: print

// ANCHOR: panics
/// From here on, a panic of an application is told like that too. By default it is
/// written as it is, and waits for a reader.
pub fn complain_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let mut text = format!("{panic}\n"); // where it was, and why
        let trace = Backtrace::capture(); // if RUST_BACKTRACE asks for it
        if trace.status() == BacktraceStatus::Captured {
            let _ = write!(text, "{trace}");
        }
        let _ = Stderr.write_all(crate::printable(&text, "\n").as_bytes());
    }));
}
// ANCHOR_END: panics

// ANCHOR: file_limit
/// From here on, a write beyond the size that `ulimit -f` allows to a file is an error
/// like any other, `EFBIG`. By default the kernel ends the process, by SIGXFSZ.
///
/// CPython ignores the signal. A program that is executed inherits that, so its
/// `subprocess` has to undo it. A handler is not inherited: `exec` resets it.
pub fn outlive_file_limit() {
    extern "C" fn nothing(_: c_int) {}
    let handler = SigHandler::Handler(nothing);
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler calls nothing, and so nothing that a handler may not call.
    let _ = unsafe { sigaction(Signal::SIGXFSZ, &action) }; // fails for no such signal
}
// ANCHOR_END: file_limit

// ANCHOR: state
/// What is known of an output. It is only read, as a rule: to write to it would cost
/// a forked child a page of its own.
struct State {
    /// Bytes that were left out and have not been told of.
    left_out: AtomicUsize,
    /// Whether it is a terminal, once the kernel has been asked.
    terminal: AtomicU8,
}

const TERMINAL: u8 = 1;
const ANOTHER: u8 = 2;

impl State {
    const fn new() -> State {
        State {
            left_out: AtomicUsize::new(0),
            terminal: AtomicU8::new(0),
        }
    }

    fn is_terminal(&self, output: BorrowedFd) -> bool {
        if self.terminal.load(Ordering::Relaxed) == 0 {
            let terminal = if output.is_terminal() {
                TERMINAL
            } else {
                ANOTHER
            };
            self.terminal.store(terminal, Ordering::Relaxed);
        }
        self.terminal.load(Ordering::Relaxed) == TERMINAL
    }
}
// ANCHOR_END: state

// ANCHOR: write_now
/// Writes as much of `text` as `to` takes at once. What it does not take is left
/// out, and counted; the count is told before the next text.
fn write_now(to: BorrowedFd, text: &[u8], state: &State) {
    let terminal = state.is_terminal(to);
    if state.left_out.load(Ordering::Relaxed) > 0 {
        let before = state.left_out.swap(0, Ordering::Relaxed);
        let gap = format!("\n[{before} bytes were left out: nobody read them]\n");
        if write_some(to, gap.as_bytes(), terminal) < gap.len() {
            state
                .left_out
                .fetch_add(before + text.len(), Ordering::Relaxed);
            return;
        }
    }
    let lost = text.len() - write_some(to, text, terminal);
    if lost > 0 {
        state.left_out.fetch_add(lost, Ordering::Relaxed);
    }
}

/// How many bytes were written without waiting.
fn write_some(to: BorrowedFd, text: &[u8], terminal: bool) -> usize {
    let mut written = 0;
    while written < text.len() {
        let end = written + piece(&text[written..], terminal);
        match is_ready(to).and_then(|ready| {
            if ready {
                write(to, &text[written..end])
            } else {
                Ok(0)
            }
        }) {
            Ok(0) => break,
            Ok(bytes) => written += bytes,
            Err(Errno::EINTR) => {}
            Err(_) => return text.len(), // the reader has gone, or the disk is full
        }
    }
    written
}

/// How much of `text` a file takes in one go if it is ready.
fn piece(text: &[u8], terminal: bool) -> usize {
    let end = match text.iter().position(|byte| *byte == b'\n') {
        // A terminal makes two bytes of a line feed, and waits if there is room for one.
        Some(0) if terminal => 1,
        Some(end) if terminal => end,
        _ => text.len(),
    };
    end.min(if terminal { 128 } else { PIPE_BUF })
}

fn is_ready(to: BorrowedFd) -> Result<bool> {
    let mut files = [PollFd::new(to, PollFlags::POLLOUT)];
    Ok(poll(&mut files, PollTimeout::ZERO)? > 0)
}
// ANCHOR_END: write_now

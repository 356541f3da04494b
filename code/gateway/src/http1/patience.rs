//! How long to wait.

#[cfg(feature = "clap")]
use crate::http::{duration, size};
use std::time::{Duration, Instant};

// ANCHOR: patience
/// How long a server waits for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct Patience {
    /// How long a head may take, however often a byte of it comes; beyond it, 408
    #[cfg_attr(feature = "clap", arg(long, default_value = "30s", value_parser = duration))]
    pub head_timeout: Duration,
    /// How long a body may take for each --pace bytes; beyond it, 408
    #[cfg_attr(feature = "clap", arg(long, default_value = "30s", value_parser = duration))]
    pub body_timeout: Duration,
    /// How long a client may take to read each --pace bytes of an answer
    #[cfg_attr(feature = "clap", arg(long, default_value = "30s", value_parser = duration))]
    pub send_timeout: Duration,
    /// How long a connection stays open between two requests
    #[cfg_attr(feature = "clap", arg(long, default_value = "75s", value_parser = duration))]
    pub keep_alive: Duration,
    /// How many bytes earn a body, or the reading of an answer, its time again
    #[cfg_attr(feature = "clap", arg(long, default_value = "64K", value_parser = size))]
    pub pace: u64,
}

impl Patience {
    /// What the options say where none is given.
    pub const DEFAULT: Patience = Patience {
        head_timeout: Duration::from_secs(30),
        body_timeout: Duration::from_secs(30),
        send_timeout: Duration::from_secs(30),
        keep_alive: Duration::from_secs(75),
        pace: 64 << 10,
    };
}
// ANCHOR_END: patience

// ANCHOR: wait
/// When a wait began, and how many bytes have moved since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait(pub Instant, pub u64);

impl Wait {
    /// Bytes have moved: after `pace` of them, the wait begins again.
    pub fn moved(&mut self, bytes: usize, pace: u64, now: Instant) {
        self.1 += bytes as u64;
        if self.1 >= pace {
            *self = Wait(now, 0);
        }
    }
}
// ANCHOR_END: wait

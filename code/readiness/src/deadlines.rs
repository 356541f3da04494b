//! When to look at whom.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

// ANCHOR: deadlines
/// When to look at which connection: a queue for each of the few times that connections
/// are given. Who is given the same time later stands farther behind, so each is sorted by
/// itself.
#[derive(Default)]
pub struct Deadlines {
    queues: Vec<(Duration, VecDeque<(Instant, usize)>)>,
    /// For each connection a bit for each queue that it is in.
    queued: Vec<u8>,
}

impl Deadlines {
    /// Sees to it that the connection with this number is looked at by its deadline, if it
    /// has one. With it comes how long that wait is in all.
    ///
    /// One that is in that queue stays where it is. Its deadline may have moved: it is
    /// looked at too early then, and put where it belongs.
    pub fn expect(&mut self, number: usize, deadline: Option<(Instant, Duration)>) {
        let Some((deadline, patience)) = deadline else {
            return;
        };
        let place = self.queues.iter().position(|(time, _)| *time == patience);
        let place = place.unwrap_or_else(|| {
            self.queues.push((patience, VecDeque::new()));
            self.queues.len() - 1
        });
        if self.queued.len() <= number {
            self.queued.resize(number + 1, 0);
        }
        if self.queued[number] & 1 << place == 0 {
            self.queued[number] |= 1 << place;
            let queue = &mut self.queues[place].1;
            let behind = queue.partition_point(|(time, _)| *time <= deadline);
            queue.insert(behind, (deadline, number)); // at its end, as a rule
        }
    }

    /// For how long nobody has to be looked at; none if there is nobody.
    pub fn first(&self, now: Instant) -> Option<Duration> {
        let fronts = self.queues.iter().filter_map(|(_, queue)| queue.front());
        let first = fronts.map(|(time, _)| *time).min();
        first.map(|time| time.saturating_duration_since(now))
    }

    /// Somebody who has to be looked at by now, and is in that queue no more.
    pub fn pop(&mut self, now: Instant) -> Option<usize> {
        for (place, (_, queue)) in self.queues.iter_mut().enumerate() {
            if let Some((_, number)) = queue.front().copied().filter(|(time, _)| *time <= now) {
                queue.pop_front();
                self.queued[number] &= !(1 << place);
                return Some(number);
            }
        }
        None
    }
}
// ANCHOR_END: deadlines

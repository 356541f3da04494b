//! What Part 3 says of its servers, one test for each claim. How a failure is made
//! certain stands in `tests::experiments`.

pub(crate) mod any_application;
mod children;
mod client3;
mod descriptors;
mod every_server;
mod experiments;
mod handlers;
mod lost_signals;
mod one_at_a_time;
mod surroundings;
mod zombies;

use std::sync::{Mutex, MutexGuard};
use tests::make_room_for_descriptors;
use tests::programs::course;

const ANSWER: &str = "HTTP/1.1 200 OK\n\nHello, World!\n";

/// Every server that forks for each client and reaps what it has forked.
const REAPERS: [&str; 5] = [
    "webserver3g",
    "webserver3g_signal_hook",
    "no_zombies",
    "double_fork",
    ANY_APPLICATION,
];

/// With an application whose answer ends as that of the series does.
const ANY_APPLICATION: &str = "webserver3h validator:axumapp:app";

/// Held by the tests that start processes by the hundred, or count those of this
/// user: they would count each other's.
static CROWD: Mutex<()> = Mutex::new(());

fn one_crowd_at_a_time() -> MutexGuard<'static, ()> {
    make_room_for_descriptors();
    // A test that failed has poisoned it, and dropped its processes.
    CROWD
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The servers that nap when they have answered, in the process that accepts.
const NAPPING: [&str; 2] = ["webserver3b", "nap_after_closing"];

/// Solutions that answer in their own words.
const OTHER_ANSWERS: [&str; 2] = ["count_children", "asks_the_date"];

/// The servers of this part that give the answer of the series, as the table has them.
fn servers() -> Vec<String> {
    let programs = course().programs.iter().cloned();
    let ours = programs.filter(|program| {
        program.file.starts_with("code/part3") && program.serves && !program.is_stage()
    });
    let names = ours.map(|program| program.name);
    names
        .filter(|name| !OTHER_ANSWERS.contains(&name.as_str()))
        .collect()
}

//! The limits as options of a command line.
#![cfg(feature = "clap")]

use clap::Parser;
use gateway::http::Limits;
use std::time::Duration;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    limits: Limits,
}

fn limits(options: &[&str]) -> Result<Limits, String> {
    let parsed = Options::try_parse_from([&["server"], options].concat());
    parsed
        .map(|options| options.limits)
        .map_err(|error| error.to_string())
}

/// The defaults are written twice: as constants, and as what `--help` shows.
#[test]
fn without_options_the_limits_are_the_default() {
    assert_eq!(limits(&[]), Ok(Limits::DEFAULT));
}

#[test]
fn times_have_a_unit_and_any_length() {
    let linger = |text: &str| limits(&[&format!("--linger={text}")]).map(|limits| limits.linger);
    for (text, time) in [
        ("0", Duration::ZERO),
        ("0s", Duration::ZERO),
        ("1ns", Duration::from_nanos(1)),
        ("1500ms", Duration::from_millis(1500)),
        ("1m 5s", Duration::from_secs(65)),
        ("18446744073709551615s", Duration::from_secs(u64::MAX)),
    ] {
        assert_eq!(linger(text), Ok(time), "{text}");
    }
    for text in ["", "5", "-1s", "2 days long", "18446744073709551616s", "s"] {
        let error = linger(text).unwrap_err();
        assert!(
            error.contains("write a time such as 2s or 500ms"),
            "{error}"
        );
    }
}

#[test]
fn sizes_count_in_1024() {
    let size = |text: &str| limits(&[&format!("--max-body={text}")]).map(|limits| limits.max_body);
    for (text, bytes) in [
        ("0", 0),
        ("1", 1),
        ("2K", 2 << 10),
        ("3M", 3 << 20),
        ("4G", 4 << 30),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(size(text), Ok(bytes), "{text}");
    }
    for text in ["", "lots", "-1", "1X", "18446744073709551616"] {
        assert!(size(text).is_err(), "{text}");
    }
}

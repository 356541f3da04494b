//! The comments that mark a region of a program for the book, as mdBook reads
//! them: `ANCHOR: name` and `ANCHOR_END: name`.

use regex::Regex;
use std::sync::LazyLock;

static START: LazyLock<Regex> = LazyLock::new(|| regex(r"ANCHOR:\s*([\w_-]+)"));
static END: LazyLock<Regex> = LazyLock::new(|| regex(r"ANCHOR_END:\s*([\w_-]+)"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant, used by every test")
}

/// The name of the anchor that begins at this line.
pub fn start(line: &str) -> Option<&str> {
    Some(START.captures(line)?.get(1)?.as_str())
}

/// The name of the anchor that ends at this line.
pub fn end(line: &str) -> Option<&str> {
    Some(END.captures(line)?.get(1)?.as_str())
}

/// Whether the line is an anchor comment, which no reader sees.
pub fn is_comment(line: &str) -> bool {
    START.is_match(line) || END.is_match(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_begins_and_ends() {
        let (first, last) = ("    // ANCHOR: accept", "    // ANCHOR_END: accept");
        assert_eq!((start(first), end(first)), (Some("accept"), None));
        assert_eq!((start(last), end(last)), (None, Some("accept")));
    }
}

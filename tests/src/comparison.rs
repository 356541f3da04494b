//! What a page shows of a terminal, held against what came.
//!
//! A line of the page must come as it stands there, character by character. What
//! differs from run to run or from machine to machine, and nothing else, may differ,
//! in the ways that `VARIES` lists: each row says where on the page the thing
//! stands, what may stand there instead, and what must still hold of the two. A
//! number that the page argues with has a bound; a process that the page names twice
//! is one process here.

use regex::{Captures, Regex};
use snapbox::data::Data;
use snapbox::filter::NormalizeToExpected;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Something that may differ.
struct Varies {
    /// Where it stands on the page: the first group of this pattern.
    page: &'static str,
    /// What may stand there instead.
    here: &'static str,
    /// What must hold of the page's and of this run's.
    holds: fn(&str, &str) -> bool,
    /// Whether two of the page that are equal are equal here as well, and two that
    /// differ differ: within one look at the screen, or on the whole page.
    same: Same,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Same {
    No,
    Within,
    OnThePage,
    /// Times of one clock: as far from each other here as on the page, or about so.
    Clock,
}

/// Any two of these stand for each other, whatever they are.
fn always(_: &str, _: &str) -> bool {
    true
}

const fn varies(page: &'static str, here: &'static str, holds: fn(&str, &str) -> bool) -> Varies {
    Varies {
        page,
        here,
        holds,
        same: Same::No,
    }
}

const fn named(page: &'static str, here: &'static str, same: Same) -> Varies {
    Varies {
        page,
        here,
        holds: match same {
            Same::Within => both_ephemeral,
            _ => always,
        },
        same,
    }
}

/// All that may differ.
const VARIES: [Varies; 31] = [
    // Processes. strace fills the number up to five columns with blanks. Process 1 is
    // process 1 everywhere, but orphans may be given to another.
    named(
        r"\b(?:child|parent|worker|master) pid (1\d+|[2-9]\d*)",
        r"\d+",
        Same::OnThePage,
    ),
    varies(r"\bparent pid (1)$", r"\d+", always),
    named(r"^process (1\d+|[2-9]\d*)$", r"\d+", Same::OnThePage),
    named(r"(?:\b|\bsi_)pid=(\d+)", r"\d+", Same::OnThePage),
    named(r"\[pid( +\d+)\]", r" +\d+", Same::OnThePage),
    named(r"^(\d{4,} +)\w+\(", r"\d+ +", Same::OnThePage),
    // The port that a client was given: of the page and here one that is given to clients.
    named(r"\b127\.0\.0\.1:(\d{5})\b", r"\d{5}", Same::Within),
    named(r"htons\((\d{5})\)", r"\d{5}", Same::Within),
    named(r"^REMOTE_PORT=(\d{5})$", r"\d{5}", Same::Within),
    // Versions.
    varies(r"\bcurl/(\d+\.\d+\.\d+)", r"\d+\.\d+\.\d+", always),
    varies(
        r"^cargo (\d+\.\d+\.\d+ \([0-9a-f]{9} \d{4}-\d\d-\d\d\))$",
        r"\d+\.\d+\.\d+(?:-[\w.]+)?(?: \([0-9a-f]{9} \d{4}-\d\d-\d\d\))?",
        both_new_enough,
    ),
    // One remark, as curl, nc and telnet of different versions make it.
    varies(
        r"^(\* Connected to 127\.0\.0\.1 \(127\.0\.0\.1\) port 8888 \(#0\))$",
        r"\* Connected to 127\.0\.0\.1 \(127\.0\.0\.1\) port 8888(?: \(#0\))?|\* Established connection to 127\.0\.0\.1 \(127\.0\.0\.1 port 8888\) from 127\.0\.0\.1 port \d{5}",
        always,
    ),
    varies(
        r"^(\* Closing connection 0)$",
        r"\* Closing connection(?: 0)?|\* (?:closing|shutting down) connection #0",
        always,
    ),
    varies(
        r": (Couldn't|Could not) connect to server$",
        r"Couldn't|Could not",
        always,
    ),
    varies(
        r"^Connection to (127\.0\.0\.1 8888 port \[tcp/\*\]) succeeded!$",
        r"127\.0\.0\.1 (?:\(127\.0\.0\.1\) )?8888 port \[tcp/[\w*-]+\]|127\.0\.0\.1 port 8888 \[tcp/[\w*-]+\]",
        always,
    ),
    varies(
        r"^Connected to (127\.0\.0\.1|localhost)\.$",
        r"127\.0\.0\.1|localhost",
        always,
    ),
    // One error, as systems number it.
    varies(r"\(os error (\d+)\)", r"\d+", one_error),
    varies(r"^Error: Os \{ code: (\d+), ", r"\d+", one_error),
    // Times, that is clocks; and how long something took, within bounds.
    varies(
        r"\bDate: (\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT)$",
        r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT",
        always,
    ),
    varies(
        r" (\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\]) ",
        r"\[\d\d/(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/\d{4}:\d\d:\d\d:\d\d \+0000\]",
        always,
    ),
    named(
        r"^(\d\d:\d\d:\d\d\.\d{6}) ",
        r"\d\d:\d\d:\d\d\.\d{6}",
        Same::Clock,
    ),
    varies(r" after (\d+) ms: ", r"\d+", at_once),
    varies(
        r"\btimed out after (\d+) milliseconds",
        r"\d+",
        of_the_same_second,
    ),
    varies(r"^(\d\.\d{6}) seconds$", r"\d+\.\d{6}", about_as_long),
    varies(
        r"^(?:real|user|sys)\t(\d+m\d+\.\d+s)$",
        r"\d+m\d+\.\d+s",
        of_one_size,
    ),
    // strace fills the line up to a column, and the page may have left something out.
    varies(r"\)( +)= ", r" +", always),
    // As the machine allows it.
    varies(r"^at most (\d+) descriptors", r"\d+", always),
    varies(r" descriptors; it was (\d+)$", r"\d+", always),
    // How much, within bounds.
    varies(r"( +\d+) kB\b", r" +\d+", about_as_much),
    varies(r"^page faults: (\d+)$", r"\d+", about_as_much),
    varies(r"^(\d+) bytes, exit code 56$", r"\d+", both_a_part),
];

/// Lines that may come though the page does not show them: what cargo says of its
/// own work, what curl of later versions says of a request beside the rest, and what
/// client3 says on a busy machine before it is done.
const UNSHOWN: [&str; 8] = [
    r"^ +Blocking waiting for file lock on [a-z ]+$",
    r"^ +(Compiling|Checking) [\w-]+ v\d+\.\d+\.\d+[\w.+-]*( \(.*\))?$",
    r"^ +Finished `\w+` profile \[.*\] target\(s\) in (\d+m )?\d+(\.\d+)?s$",
    r"^ +Running (`.*`|unittests .*|\S+ \(.*\))$",
    r"^ +(Updating crates\.io index|(Downloading|Downloaded|Locking|Adding) .*)$",
    r"^(\*|== Info:) (using HTTP/1\.x|Request completely sent off)$",
    r"^\* Mark bundle as not supporting multiuse$",
    r"^so far \d+ x \d+ connections: \d+ answered, \d+ refused, \d+ reset, \d+ timed out$",
];

/// Ports that a system gives to clients: Linux from 32768, macOS from 49152.
fn both_ephemeral(page: &str, here: &str) -> bool {
    let port = |text: &str| text.parse().is_ok_and(|port: u16| port >= 32768);
    port(page) && port(here)
}

/// Rust's, from the version on that the course asks for.
fn both_new_enough(page: &str, here: &str) -> bool {
    let new_enough = |text: &str| {
        let mut numbers = text.split('.').map(|number| number.parse::<u32>());
        matches!(
            (numbers.next(), numbers.next()),
            (Some(Ok(1)), Some(Ok(89..)))
        )
    };
    new_enough(page) && new_enough(here)
}

/// The same error of Linux, macOS and FreeBSD.
fn one_error(page: &str, here: &str) -> bool {
    const SAME: [[&str; 2]; 5] = [
        ["98", "48"],  // EADDRINUSE
        ["104", "54"], // ECONNRESET
        ["111", "61"], // ECONNREFUSED
        ["110", "60"], // ETIMEDOUT
        ["11", "35"],  // EAGAIN
    ];
    page == here || SAME.contains(&[page, here]) || SAME.contains(&[here, page])
}

fn at_once(page: &str, here: &str) -> bool {
    let at_once = |text: &str| text.parse().is_ok_and(|time: u32| time < 1000);
    at_once(page) && at_once(here)
}

/// Not before the second that was set, and, on a busy machine, ten more at most.
fn of_the_same_second(page: &str, here: &str) -> bool {
    let time = |text: &str| text.parse::<u32>().unwrap_or_default();
    let set = time(page) / 1000 * 1000;
    set > 0 && (set..set + 100).contains(&time(page)) && (set..set + 10_000).contains(&time(here))
}

/// A sleep is never shorter than it was asked to be, and a busy machine makes
/// anything longer.
fn about_as_long(page: &str, here: &str) -> bool {
    let time = |text: &str| text.parse().unwrap_or(f64::NAN);
    let (page, here): (f64, f64) = (time(page), time(here));
    here > page * 0.9 - 0.1 && here < page * 3.0 + 0.3
}

/// Machines differ, and so does what else they do, which makes anything longer.
fn of_one_size(page: &str, here: &str) -> bool {
    let time = |text: &str| {
        let (minutes, seconds) = text.trim_end_matches('s').split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
    };
    let (Some(page), Some(here)) = (time(page), time(here)) else {
        return false;
    };
    here > page / 10.0 && here < page * 30.0
}

/// What a program or Python of another version takes.
fn about_as_much(page: &str, here: &str) -> bool {
    let number = |text: &str| text.trim().parse().unwrap_or(f64::NAN);
    let (page, here): (f64, f64) = (number(page), number(here));
    here > page / 1.6 && here < page * 1.6
}

/// A million bytes were on their way, and a part of them came: seldom all, in 30 of 200
/// runs with curl, whose kernel had received them before the reset. So a million and an
/// error is no lie.
fn both_a_part(page: &str, here: &str) -> bool {
    let part = |text: &str| {
        text.parse()
            .is_ok_and(|size| (1..=1_000_000).contains(&size))
    };
    part(page) && part(here)
}

/// [`VARIES`] and [`UNSHOWN`], ready for use.
static RULES: LazyLock<Vec<(Regex, &Varies)>> = LazyLock::new(|| {
    let rule = |varies: &'static Varies| (pattern(varies.page), varies);
    static ALL: [Varies; VARIES.len()] = VARIES;
    ALL.iter().map(rule).collect()
});
static DROPPED: LazyLock<Vec<Regex>> = LazyLock::new(|| UNSHOWN.into_iter().map(pattern).collect());

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant, used by every test")
}

/// Which process, or port, of this run stands for which of the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    names: BTreeMap<String, String>,
    /// The last time that was shown, the page's and this run's, in seconds.
    clock: Option<(String, String)>,
}

impl Known {
    /// Takes note of another pair, if it does not contradict those that are known.
    fn note(&mut self, page: &str, here: &str) -> bool {
        let (page, here) = (page.trim(), here.trim());
        match self.names.get(page) {
            Some(known) => known == here,
            None if self.names.values().any(|other| other == here) => false,
            None => {
                self.names.insert(page.to_string(), here.to_string());
                true
            }
        }
    }

    /// A command of the page, with the processes of this run in it.
    pub fn here(&self, command: &str) -> String {
        static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b\d+\b"));
        let here = |found: &Captures<'_>| {
            let number = &found[0];
            self.names
                .get(number)
                .map_or(number, |here| here)
                .to_string()
        };
        NUMBER.replace_all(command, here).into_owned()
    }

    /// A process that a command of the page would signal, and that none of this run stands
    /// for: that number may be anybody's here.
    pub fn stranger(&self, command: &str) -> Option<String> {
        const WHOM: &str =
            r"\bkill(?:\s+-s\s+\w+|\s+-\w+)*(?:\s+--((?:\s+-?\d+\b)+)|((?:\s+\d+\b)+))";
        static KILL: LazyLock<Regex> = LazyLock::new(|| pattern(WHOM));
        let whom = KILL.captures_iter(command);
        let whom = whom.filter_map(|found| Some(found.get(1).or(found.get(2))?.as_str()));
        let numbers = whom.flat_map(str::split_whitespace);
        let mut numbers = numbers.map(|number| number.trim_start_matches('-').to_string());
        numbers.find(|number| !self.names.contains_key(number))
    }

    /// Takes note of another time, if it comes when it should.
    fn tick(&mut self, page: &str, here: &str) -> bool {
        let last = self.clock.replace((page.to_string(), here.to_string()));
        last.is_none_or(|(last_page, last_here)| {
            let page = seconds(page) - seconds(&last_page);
            let here = seconds(here) - seconds(&last_here);
            // Over midnight it begins again.
            here < 0.0 || here > page * 0.5 && here < page * 3.0 + 0.3
        })
    }
}

/// The time of a day.
fn seconds(clock: &str) -> f64 {
    let numbers = clock
        .split(':')
        .map(|number| number.parse().unwrap_or(f64::NAN));
    numbers.fold(0.0, |sum, number: f64| sum * 60.0 + number)
}

/// A line of the page.
enum Wanted {
    /// `...`: any lines.
    Any,
    /// A line, and what in it may differ: the page's, in the order of the groups.
    Line(Regex, Vec<(&'static Varies, String)>),
}

impl Wanted {
    /// `loose`: any white space is as good as any other.
    fn new(line: &str, loose: bool) -> Wanted {
        if line == "..." {
            return Wanted::Any;
        }
        let literal = |text: &str| match loose {
            false => regex::escape(text),
            true => {
                let words: Vec<String> = text.split([' ', '\t']).map(regex::escape).collect();
                let words = words.join(" ");
                pattern(" +").replace_all(&words, "[ \\t]+").into_owned()
            }
        };
        let mut source = String::from("^");
        let mut groups = Vec::new();
        let mut rest = 0;
        while rest < line.len() {
            let wildcard = line[rest..].find("[..]").map(|at| rest + at);
            let rules = RULES.iter().filter_map(|(page, varies)| {
                // The whole line, so that its begin and words are seen.
                let mut found = page.captures_iter(line).filter_map(|found| found.get(1));
                let found = found.find(|found| found.start() >= rest)?;
                Some((found.range(), *varies))
            });
            let next = rules
                .filter(|(range, varies)| {
                    (varies.holds)(&line[range.clone()], &line[range.clone()])
                })
                .min_by_key(|(range, _)| range.start);
            match (wildcard, next) {
                (Some(at), next) if next.as_ref().is_none_or(|(range, _)| at < range.start) => {
                    source.push_str(&literal(&line[rest..at]));
                    source.push_str(".*");
                    rest = at + "[..]".len();
                }
                (_, Some((range, varies))) => {
                    source.push_str(&literal(&line[rest..range.start]));
                    source.push_str(&format!("({})", varies.here));
                    groups.push((varies, line[range.clone()].to_string()));
                    rest = range.end;
                }
                (_, None) => {
                    source.push_str(&literal(&line[rest..]));
                    rest = line.len();
                }
            }
        }
        source.push('$');
        Wanted::Line(pattern(&source), groups)
    }

    /// What is known after a line that fits, and nothing when it does not.
    fn fits(&self, line: &str, known: &(Known, Known)) -> Option<(Known, Known)> {
        let Wanted::Line(pattern, groups) = self else {
            return None;
        };
        let found = pattern.captures(line)?;
        let (mut within, mut on_the_page) = known.clone();
        for ((varies, page), here) in groups.iter().zip(found.iter().skip(1)) {
            let here = here.map_or("", |group| group.as_str());
            let consistent = match varies.same {
                Same::No => true,
                Same::Within => within.note(page, here),
                Same::OnThePage => on_the_page.note(page, here),
                Same::Clock => within.tick(page, here),
            };
            if !consistent || !(varies.holds)(page, here) {
                return None;
            }
        }
        Some((within, on_the_page))
    }
}

/// What the page shows after a command, ready to be compared.
pub struct Shown {
    text: String,
    wanted: Vec<Wanted>,
    of_ps: bool,
}

impl Shown {
    /// What the page shows after this command.
    pub fn new(text: &str, command: Option<&str>) -> Shown {
        let runs = |tool: &str| command.is_some_and(|command| command.contains(tool));
        // ss makes its columns as wide as the terminal.
        let loose = runs("ss -");
        let text = text.trim_end();
        Shown {
            wanted: lines(text).map(|line| Wanted::new(line, loose)).collect(),
            of_ps: runs("ps -o stat"),
            text: format!("{text}\n"),
        }
    }

    /// Whether this came; and then which process of it stands for which of the page.
    pub fn fits(&self, came: &str, known: &Known) -> Option<Known> {
        let came = self.without_priority(came);
        let came: Vec<&str> = lines(came.trim_end()).collect();
        // From the end: whether the lines from each place on could be those of the page,
        // as far as each line alone can tell.
        let nothing = (Known::default(), Known::default());
        let (rows, columns) = (self.wanted.len(), came.len());
        let mut could = vec![vec![false; columns + 1]; rows + 1];
        let unshown: Vec<bool> = came.iter().map(|line| is_unshown(line)).collect();
        for row in (0..=rows).rev() {
            for column in (0..=columns).rev() {
                let skipped = column < columns && unshown[column] && could[row][column + 1];
                could[row][column] = skipped
                    || match self.wanted.get(row) {
                        None => column == columns,
                        Some(Wanted::Any) => {
                            could[row + 1][column] || column < columns && could[row][column + 1]
                        }
                        Some(line) => {
                            column < columns
                                && could[row + 1][column + 1]
                                && line.fits(came[column], &nothing).is_some()
                        }
                    };
            }
        }
        let known = (Known::default(), known.clone());
        let walk = Walk {
            wanted: &self.wanted,
            came: &came,
            could: &could,
            unshown: &unshown,
        };
        walk.from(0, 0, known).map(|(_, on_the_page)| on_the_page)
    }

    /// What the page has, and what came instead.
    pub fn difference(&self, came: &str, place: &str) -> String {
        let nothing = (Known::default(), Known::default());
        let came = self.without_priority(came);
        let shown = lines(came.trim_end()).filter(|line| !is_unshown(line));
        let nearest = shown.map(|line| {
            let page = lines(self.text.trim_end()).zip(&self.wanted);
            // Into `[..]` alone fits every line, and what came would be hidden.
            let page = page.filter(|(page, _)| page.trim() != "[..]");
            let mut fitting = page.filter(|(_, wanted)| wanted.fits(line, &nothing).is_some());
            fitting.next().map_or(line, |(page, _)| page)
        });
        let nearest: String = nearest.map(|line| format!("{line}\n")).collect();
        let mut diff = String::new();
        let _ = snapbox::report::write_diff(
            &mut diff,
            &Data::text(self.text.clone()),
            &Data::text(nearest),
            Some(&place),
            Some(&"what came back"),
            snapbox::report::Palette::plain(),
        );
        diff
    }

    /// What came, as a page would show it: with this page's wildcards where they fit,
    /// and without what need not be shown.
    pub fn with_wildcards(&self, came: &str) -> String {
        let came = self.without_priority(came);
        let shown = lines(&came).filter(|line| !is_unshown(line));
        let shown: String = shown.map(|line| format!("{line}\n")).collect();
        let page = Data::text(self.text.clone());
        let fit = NormalizeToExpected::new().redact();
        fit.normalize(Data::text(shown), &page).to_string()
    }

    /// Where these tests run under `nice`, `ps` shows it: `SN+` for `S+`.
    fn without_priority(&self, came: &str) -> String {
        static NICE: LazyLock<Regex> =
            LazyLock::new(|| pattern(r"(?m)^((?: *\d+ )?[RSDTtZ])N([sl+]*)(?: |$)"));
        match self.of_ps {
            true => NICE.replace_all(came, "$1$2  ").into_owned(),
            false => came.to_string(),
        }
    }
}

/// The lines of a text, without the white space at their ends.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_end)
}

fn is_unshown(line: &str) -> bool {
    DROPPED.iter().any(|pattern| pattern.is_match(line))
}

/// The search for a way to lay the page's lines beside those that came, on which no
/// process is taken for two.
struct Walk<'a> {
    wanted: &'a [Wanted],
    came: &'a [&'a str],
    could: &'a [Vec<bool>],
    unshown: &'a [bool],
}

impl Walk<'_> {
    /// Recursion goes down the page, which is short, and not down what came.
    fn from(&self, row: usize, column: usize, known: (Known, Known)) -> Option<(Known, Known)> {
        let Some(wanted) = self.wanted.get(row) else {
            return self.could[row][column].then_some(known);
        };
        for column in column..=self.came.len() {
            if !self.could[row][column] {
                return None;
            }
            let taken = match (wanted, self.came.get(column)) {
                (Wanted::Any, _) => self.from(row + 1, column, known.clone()),
                (_, None) => None,
                (line, Some(came)) => {
                    let next = line.fits(came, &known);
                    next.and_then(|known| self.from(row + 1, column + 1, known))
                }
            };
            let passed_over =
                matches!(wanted, Wanted::Any) || self.unshown.get(column) == Some(&true);
            if taken.is_some() || !passed_over {
                return taken;
            }
        }
        None
    }
}

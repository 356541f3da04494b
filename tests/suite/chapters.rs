//! Every transcript happened.
//!
//! Each chapter's `console` blocks are typed into terminals, in order, and what
//! comes back is compared with the page. The rules:
//!
//! - A server of the course, or the book's, is started in a terminal of its
//!   own and stays until its page ends, or until a `^C`. A block that does not
//!   begin with a command goes on in the terminal of the last server, and shows
//!   what that has printed since it was last seen.
//! - Port 8888 of the page is a free port here, and so are 3000, the book's, and 8000.
//! - `cargo run --bin NAME` goes through cargo for the first program of each folder that
//!   a run of the tests comes to. For the others it is what cargo has built by that name.
//! - In a block of a stage, `cargo run` starts that stage, as the reader's own package
//!   would: the program is called `my-server`, and has a free port where its text has 8888.
//! - `cargo run -p PACKAGE --example NAME` starts an example of a part, in the same way.
//! - A process that a command of the page names by its number is the one of this run
//!   that the page has shown under that number.
//! - A command that looks at processes or sockets and does nothing else is typed again, for
//!   two minutes at most, if the page shows something else: `ps` and `ss`, through
//!   filters or not. So are those of a block that says `until`.
//! - What comes is what the page shows, character by character, but for what
//!   `tests::comparison` lists: what differs from run to run and from machine to
//!   machine. White space at the ends of lines does not count, nor do blank lines
//!   at the end.
//! - A page that starts a server with the feature `python`, or uvicorn, is typed where
//!   target/venv has been activated, and `code/apps/python` is a copy of that
//!   folder; `../my-site` is a folder that goes when the page ends, and `../course` that of
//!   the course. It is replayed if these tests are built with that feature, and
//!   otherwise named and left out.
//! - A block whose tool is missing, or that needs root, is named and left out, and so
//!   are those after it on its page. Where `CI=true`, that is a failure.
//! - `SNAPSHOTS=overwrite cargo test --test suite chapters::` writes what came back
//!   into the chapters.

use book::course::{Chapter, Program};
use book::transcript::{blocks, served, stage_command, Block, Line, StageCommand};
use regex::{Captures, Regex};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tests::comparison::{Known, Shown};
use tests::port::Port;
use tests::programs::{as_typed, course, example, folder};
use tests::python::{activated, can_check, environment, programs, Site};
use tests::terminal::Terminal;
use tests::{has_tool, left_out, Pause, LIMIT};

/// How long a command that looks, or measures, is typed again.
const PATIENCE: Duration = LIMIT;

include!(concat!(env!("OUT_DIR"), "/replays.rs"));

/// A page on which a server has Python inside.
fn replay_with_python(chapter: &str) {
    if !cfg!(feature = "python") {
        let how = "cargo test --test suite --features tests/python chapters::python";
        tests::say(&format!("not checked: {chapter}: {how}"));
    } else if can_check(chapter) {
        replay_on(&mut Page::with_python(chapter), chapter);
    }
}

fn replay(chapter: &str) {
    replay_on(&mut Page::default(), chapter);
}

fn replay_on(page: &mut Page, chapter: &str) {
    let file = PathBuf::from(chapter);
    let text = fs::read_to_string(book::root().join(&file)).expect("the build script has read it");
    let chapter = Chapter { file, text };
    let blocks = blocks(&chapter).unwrap_or_else(|problem| panic!("{problem}"));
    for block in &blocks {
        let checked = block.check(course(), &chapter);
        checked.unwrap_or_else(|problem| panic!("{problem}"));
    }
    page.typed.0 = typed_on(&chapter.file);

    if std::env::var("SNAPSHOTS").is_ok_and(|word| word == "overwrite") {
        let replay = |block| page.replay(&chapter.file, block);
        let replayed: Vec<Replayed> = blocks.iter().map(replay).collect();
        return overwrite(&chapter, &blocks, &replayed);
    }
    for block in &blocks {
        // The first difference only: what comes after it follows from it.
        if let Some(difference) = page.replay(&chapter.file, block).difference {
            panic!("{difference}\nif the page is wrong: SNAPSHOTS=overwrite cargo test --test suite chapters::");
        }
    }
}

/// The folder for the stages of a page, each as the reader has it.
fn typed_on(chapter: &Path) -> PathBuf {
    let page = chapter.display().to_string().replace(['/', '.'], "-");
    let folder = format!("typed/{}-{page}", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder)
}

/// A folder that goes with its owner.
#[derive(Default)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // most pages have none
    }
}

/// The terminals of one chapter, and the places that stand in for the page's.
#[derive(Default)]
struct Page {
    terminals: BTreeMap<String, Terminal>,
    environment: Vec<(&'static str, String)>,
    server: Option<String>,
    /// The terminals in which a server has run.
    servers: BTreeSet<String>,
    places: Places,
    /// Which process of this run stands for which of the page.
    known: Known,
    /// Where the page's stages stand.
    typed: Folder,
    /// The copy of `code/apps/python`, where the page has Python.
    _site: Option<Site>,
    /// The reader's own folder of Python's modules, `../my-site`.
    _own: Folder,
    /// Whether a block was left out. Those after it may go on from what it
    /// would have started or stopped, so they are left out as well.
    left_out: bool,
}

/// What came of a block: its lines as they were, and the difference if they
/// are not as the page has them.
#[derive(Default)]
struct Replayed {
    lines: Vec<Line>,
    difference: Option<String>,
}

/// A command with what the page shows after it, up to the next command.
struct Exchange<'a> {
    line: usize,
    command: Option<&'a str>,
    rest: Vec<&'a Line>,
}

impl Page {
    fn with_python(chapter: &str) -> Page {
        let name: String = chapter.replace(['/', '.'], "-");
        let site = Site::in_workspace(&name);
        let own = book::root().join(format!("target/tmp/{name}-my-site"));
        let _ = fs::remove_dir_all(&own); // of a run that was killed
        let folders = vec![
            ("target/debug/", format!("{}/", programs().display())),
            ("../my-site", own.display().to_string()),
            ("code/apps/python", format!("target/tmp/{name}")),
            ("../course", book::root().display().to_string()),
        ];
        Page {
            environment: activated(),
            places: Places {
                folders,
                ..Places::default()
            },
            _site: Some(site),
            _own: Folder(own),
            ..Page::default()
        }
    }

    fn replay(&mut self, file: &Path, block: &Block) -> Replayed {
        let exchanges = exchanges(block);
        if block.norun {
            return unchanged(block); // tests/suite/house.rs keeps the list of these
        }
        let missing = exchanges
            .iter()
            .filter_map(|exchange| exchange.command)
            .flat_map(tools)
            .find(|tool| !has_tool(tool) && !self.has_in_environment(tool));
        let no_proc = block
            .lines
            .iter()
            .any(|line| line.source().contains("/proc/") && !Path::new("/proc/self").exists());
        let missing = missing.or(no_proc.then(|| "/proc".to_string()));
        let needs_root = block
            .lines
            .iter()
            .any(|line| line.source().contains("setpriv "));
        let no_root = needs_root && !nix::unistd::geteuid().is_root();
        let missing = missing.or(no_root.then(|| "root".to_string()));
        if let (false, Some(tool)) = (self.left_out, missing) {
            let place = format!("{}:{}", file.display(), block.line);
            left_out(&format!("{place} and what follows on that page"), &tool);
            self.left_out = true;
        }
        if self.left_out {
            return unchanged(block);
        }

        let mut replayed = Replayed::default();
        let count = exchanges.len();
        for (index, exchange) in exchanges.into_iter().enumerate() {
            let stays = block.stays && index + 1 == count;
            let place = format!("{}:{}", file.display(), exchange.line);
            let (began, mut pause) = (Instant::now(), Pause::default());
            let (lines, difference) = loop {
                let seen = self.exchange(block, &exchange, stays, &place);
                let again = block.until || exchange.command.is_some_and(only_looks);
                if seen.1.is_none() || !again || began.elapsed() > PATIENCE {
                    break seen;
                }
                // Each look starts processes.
                (0..3).for_each(|_| pause.wait());
            };
            replayed.lines.extend(lines);
            if let Some(difference) = difference {
                let all = replayed.difference.get_or_insert_with(String::new);
                all.push_str(&difference);
            }
        }
        replayed
    }

    /// Whether the virtual environment has a tool, on a page on which it is activated.
    fn has_in_environment(&self, tool: &str) -> bool {
        let file = environment().join("bin").join(tool);
        !self.environment.is_empty() && file.exists()
    }

    fn exchange(
        &mut self,
        block: &Block,
        exchange: &Exchange<'_>,
        stays: bool,
        place: &str,
    ) -> (Vec<Line>, Option<String>) {
        let course = course();
        let stage = block.stage.as_ref().zip(exchange.command);
        let stage = stage
            .and_then(|(name, command)| Some((course.program(name)?, stage_command(command)?)));
        let served = match stage {
            Some((stage, _)) => stage.serves.then(|| stage.name.clone()),
            None => exchange.command.and_then(|command| served(course, command)),
        };
        let name = match (&block.terminal, &served, exchange.command, &self.server) {
            (Some(name), ..) => name.clone(),
            (None, Some(name), ..) => format!("server {name}"),
            (None, None, None, Some(server)) => server.clone(),
            _ => "client".to_string(),
        };
        if served.is_some() {
            self.server = Some(name.clone());
        }
        let mut rest = exchange.rest.iter();
        if served.is_some() || rest.any(|line| line.source().starts_with("Serving ")) {
            self.servers.insert(name.clone());
        }
        let is_server = self.servers.contains(&name);
        let rest = exchange.rest.iter().map(|line| line.source());
        for text in rest.chain(exchange.command.map(str::to_string)) {
            self.places.take_for(&text, served.as_deref());
        }

        let terminal = self
            .terminals
            .entry(name)
            .or_insert_with(|| Terminal::open(&book::root(), &self.environment));
        let mut patience = LIMIT;
        if let Some(command) = exchange.command {
            terminal.wait(LIMIT, |_| false);
            terminal.take();
            assert!(
                terminal.idle(),
                "{place}: the command before this one still runs\n{}",
                terminal.screen()
            );
            let command = match stage {
                Some((stage, command)) => {
                    let folder = self.typed.0.join(&stage.name);
                    self.places.stage(stage, command, &folder)
                }
                None => {
                    let stranger = self.known.stranger(command);
                    assert_eq!(
                        stranger, None,
                        "{place}: whom `{command}` would signal here"
                    );
                    let command = self.known.here(command);
                    let command = self.places.command(&command, served.as_deref());
                    self.places.examples(&command, &self.typed.0)
                }
            };
            patience = limit(&command);
            terminal.command(&command);
        } else if exchange.rest.first() == Some(&&Line::Interrupt) {
            // Printed since it was last seen, and not shown: so are the lines of servers.
            let unseen = terminal.take();
            let nothing = is_server || unseen.trim().is_empty();
            assert!(
                nothing,
                "{place}: before this, and not on the page:\n{unseen}"
            );
        }

        let mut sitting = Sitting {
            terminal,
            places: &self.places,
            known: &self.known,
            limit: patience,
            command: exchange.command,
            expected: String::new(),
            actual: String::new(),
            echo: String::new(),
            segments: Vec::new(),
        };
        for line in &exchange.rest {
            sitting.go_on(line);
        }
        let interrupted = matches!(exchange.rest.last(), Some(Line::Interrupt));
        let running = stays || served.is_some() || exchange.command.is_none();
        sitting.end(running && !interrupted);
        if interrupted && sitting.expected.is_empty() {
            sitting.actual.clear(); // what a program says of its own end
        }

        let mut lines: Vec<Line> = Vec::new();
        lines.extend(exchange.command.map(|c| Line::Command(c.to_string())));
        let shown = Shown::new(&sitting.expected, exchange.command);
        if let Some(known) = shown.fits(&sitting.actual, sitting.known) {
            lines.extend(exchange.rest.iter().map(|line| (*line).clone()));
            self.known = known;
            return (lines, None);
        }
        let difference = shown.difference(&sitting.actual, place);
        lines.extend(sitting.lines(&shown));
        (lines, Some(difference))
    }
}

/// One exchange, as it goes on in a terminal.
struct Sitting<'a> {
    terminal: &'a mut Terminal,
    places: &'a Places,
    known: &'a Known,
    /// How long what the page shows may take.
    limit: Duration,
    command: Option<&'a str>,
    /// The output that the page has shown so far, and what came instead.
    expected: String,
    actual: String,
    /// What was typed last: some programs repeat it on the screen.
    echo: String,
    /// The screen up to each thing that was done, and that thing.
    segments: Vec<(String, Option<Line>)>,
}

impl Sitting<'_> {
    /// The next line of the page: output is expected, anything else is done,
    /// after the output before it has come.
    fn go_on(&mut self, line: &Line) {
        if let Line::Output(output) = line {
            self.expected.push_str(output);
            self.expected.push('\n');
            return;
        }
        if *line != Line::Interrupt || !self.expected.is_empty() {
            self.wait(true);
        }
        self.take(Some(line));
        match line {
            Line::Typed(text) => {
                self.terminal.line(&self.places.here(text));
                self.echo = format!("{text}\n");
            }
            Line::Interrupt => self.terminal.interrupt(),
            Line::EndOfInput => self.terminal.end_of_input(),
            Line::Command(_) | Line::Output(_) => {}
        }
    }

    /// Waits for the prompt, or, where the command goes on running, for all
    /// that the page shows.
    fn end(&mut self, running: bool) {
        self.wait(running);
        self.take(None);
    }

    fn wait(&mut self, running: bool) {
        let Sitting {
            places,
            known,
            actual,
            echo,
            ..
        } = self;
        let shown = running.then(|| Shown::new(&self.expected, self.command));
        self.terminal.wait(self.limit, |screen| {
            if screen.ends_with(|last: char| last.is_ascii_digit()) {
                return false; // of a number that is not yet whole, perhaps
            }
            let screen = without_echo(echo, &places.back(screen));
            let came = format!("{actual}{screen}");
            shown
                .as_ref()
                .is_some_and(|shown| shown.fits(&came, known).is_some())
        });
    }

    fn take(&mut self, then: Option<&Line>) {
        let screen = self.places.back(&self.terminal.take());
        let screen = without_echo(&self.echo, &screen);
        self.echo.clear();
        self.actual.push_str(&screen);
        self.segments.push((screen, then.cloned()));
    }

    /// The lines for the page, from what came.
    fn lines(self, shown: &Shown) -> Vec<Line> {
        let mut lines = Vec::new();
        for (screen, then) in self.segments {
            let screen = shown.with_wildcards(&screen);
            let output = |line: &str| Line::Output(line.to_string());
            lines.extend(screen.trim_end().lines().map(output));
            lines.extend(then);
        }
        lines
    }
}

/// How long a command may take to end, or to print what the page shows. Cargo may
/// have to build something first, or wait for another that builds, and a loop goes on
/// until something happens.
fn limit(command: &str) -> Duration {
    let is_long = ["cargo ", "while ", "until "]
        .iter()
        .any(|word| command.contains(word));
    LIMIT * if is_long { 5 } else { 1 }
}

/// Whether a command looks at processes or sockets and does nothing else: what it looks
/// at may not have come to rest yet, so it is typed again.
fn only_looks(command: &str) -> bool {
    const LOOK: [&str; 2] = ["ps", "ss"];
    const FILTER: [&str; 8] = ["sort", "uniq", "grep", "wc", "awk", "sed", "cut", "head"];
    let mut words = command.split(" | ").map(|part| part.split(' ').next());
    let first = words.next().flatten();
    first.is_some_and(|word| LOOK.contains(&word))
        && words.all(|word| word.is_some_and(|word| FILTER.contains(&word)))
}

fn without_echo(echo: &str, screen: &str) -> String {
    screen.strip_prefix(echo).unwrap_or(screen).to_string()
}

/// A port of the page, and the free one that stands in for it.
struct Stand {
    page: &'static str,
    here: Port,
    /// What finds the page's number in a text, and what finds the other.
    of_page: Regex,
    of_here: Regex,
}

/// The ports and the folders of the page, each with what stands in for it, and how its
/// stages begin to say their usage.
struct Places {
    ports: Vec<Stand>,
    folders: Vec<(&'static str, String)>,
    /// The folders of the stages, which the page calls so too.
    typed: Vec<(&'static str, String)>,
    usages: Vec<(&'static str, String)>,
}

/// What `module_path!()` is in the reader's package.
const USAGE: &str = "usage: my_server [";

impl Default for Places {
    fn default() -> Places {
        Places {
            ports: Vec::new(),
            folders: vec![("target/debug/", format!("{}/", folder().display()))],
            typed: Vec::new(),
            usages: Vec::new(),
        }
    }
}

impl Places {
    /// Takes a free port for each that the text, or the server, will need.
    fn take_for(&mut self, text: &str, served: Option<&str>) {
        for port in ["8888", "3000", "8000"] {
            let own = served.is_some_and(|name| match port {
                "3000" => name == "book",
                "8888" => name != "book",
                _ => false,
            });
            let taken = self.ports.iter().any(|stand| stand.page == port);
            let visited = port == "8888" && run_client(text).is_some();
            if (own || visited || text.contains(port)) && !taken {
                let here = Port::free();
                self.ports.push(Stand {
                    page: port,
                    of_page: whole_number(port),
                    of_here: whole_number(&here.number.to_string()),
                    here,
                });
            }
        }
    }

    /// A text of the page with the ports of this run.
    fn here(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_string(), |text, stand| {
            let here = stand.here.number.to_string();
            stand.of_page.replace_all(&text, here).into_owned()
        })
    }

    /// The free port that stands in for one of the page, and 0 where there is none.
    fn port(&self, page: &str) -> u16 {
        let stand = self.ports.iter().find(|stand| stand.page == page);
        stand.map_or(0, |stand| stand.here.number)
    }

    /// A text of this run with the ports and the folder of the page.
    fn back(&self, text: &str) -> String {
        let text = self.ports.iter().fold(text.to_string(), |text, stand| {
            stand.of_here.replace_all(&text, stand.page).into_owned()
        });
        let names = self.folders.iter().chain(&self.typed).chain(&self.usages);
        names.fold(text, |text, (page, here)| text.replace(here, page))
    }

    /// The command that starts a stage, which stands in `folder`.
    fn stage(&mut self, stage: &Program, command: StageCommand<'_>, folder: &Path) -> String {
        let StageCommand {
            before,
            arguments,
            after,
        } = command;
        let port = self.port("8888");
        let file = as_typed(stage, folder, port);
        self.typed
            .push(("target/debug/", format!("{}/", folder.display())));
        self.usages
            .push((USAGE, format!("usage: {} [", stage.name)));
        // Where an application is named, the address comes after it.
        let needs_one = stage.takes_address() && stage.arguments.is_some();
        let told = match needs_one {
            true => has_address(arguments, " "),
            false => !arguments.is_empty(),
        };
        let own = told || !stage.takes_address();
        let address = if own {
            String::new()
        } else {
            format!(" 127.0.0.1:{port}")
        };
        let arguments = self.here(arguments);
        let file = file.display();
        format!("{before}{file} {arguments}{address}{after}")
    }

    /// The command with the program itself in the place of each `cargo run` that starts an
    /// example of a part.
    fn examples(&mut self, command: &str, folder: &Path) -> String {
        static RUN: LazyLock<Regex> = LazyLock::new(|| {
            let run = r"\bcargo run (?:-q |--quiet )?-p (part\w+) --example (\w+)(?: -- | |(;)|$)";
            Regex::new(run).expect("a constant")
        });
        let (course, mut copied) = (course(), false);
        let command = RUN.replace_all(command, |found: &Captures<'_>| {
            let Some(known) = course.example(&found[1], &found[2]) else {
                return found[0].to_string(); // cargo says so
            };
            let text = fs::read_to_string(book::root().join(&known.file)).unwrap_or_default();
            self.take_for(&text, None);
            let port = self.port("8888");
            copied = true;
            let then = found.get(3).map_or("", |then| then.as_str());
            format!("{} {then}", example(known, folder, port).display())
        });
        let command = command.into_owned();
        if copied {
            self.typed
                .push(("target/debug/examples/", format!("{}/", folder.display())));
        }
        command
    }

    /// A command of the page as it is typed here: a server is given the
    /// address that it would have taken by itself.
    fn command(&self, command: &str, served: Option<&str>) -> String {
        let command = self.here(command);
        let address = |page: &str| format!("127.0.0.1:{}", self.port(page));
        let command = match served {
            Some("book") if !command.contains("--address") => {
                format!("{command} -- --address {}", address("3000"))
            }
            Some("book") => command,
            None => visiting(&command, || address("8888")),
            Some(name) if has_address(&command, name) => command,
            Some(_) if command.contains("cargo run") && !command.contains(" -- ") => {
                format!("{command} -- {}", address("8888"))
            }
            Some(_) => format!("{command} {}", address("8888")),
        };
        let folders = self.folders.iter();
        let command = folders.fold(command, |text, (page, here)| text.replace(page, here));
        built(&command)
    }
}

/// The command with the program itself in the place of a `cargo run`, if some page has
/// had cargo run a program of that folder, and so of that package, before. Cargo has built
/// them all by then, by these names, and would start it with nothing more to say.
fn built(command: &str) -> String {
    static TYPED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    static RUN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\bcargo run (?:--quiet |-q )?--bin (\w+)(?: -- |$)").expect("a constant")
    });
    let mut typed = TYPED.lock().unwrap_or_else(PoisonError::into_inner);
    let program = |found: &Captures<'_>| {
        let program = course().program(&found[1]);
        let folder_of = program.and_then(|program| program.file.parent());
        match folder_of {
            Some(place) if !typed.insert(place.to_path_buf()) => {
                format!("{}/{} ", folder().display(), &found[1])
            }
            _ => found[0].to_string(), // or cargo says that there is none
        }
    };
    RUN.replace_all(command, program).into_owned()
}

/// The command with an address for `client3`, if it runs that and gives none.
fn visiting(command: &str, address: impl Fn() -> String) -> String {
    match run_client(command) {
        Some((before, after)) if !command.contains("--address") => {
            let cargo = before.ends_with("--bin client3");
            let after = after.strip_prefix(" --").filter(|_| cargo).unwrap_or(after);
            let separator = if cargo { " --" } else { "" };
            format!("{before}{separator} --address {}{after}", address())
        }
        _ => command.to_string(),
    }
}

/// A command that runs `client3`, cut after that name.
fn run_client(command: &str) -> Option<(&str, &str)> {
    let runs = ["--bin client3", "target/debug/client3"];
    let start = runs
        .iter()
        .find_map(|run| Some(command.find(run)? + run.len()));
    start.map(|end| command.split_at(end))
}

/// Whether a port comes after the name: `:8888`, but not the colon of
/// `wsgiapp:app`.
fn has_address(command: &str, name: &str) -> bool {
    let port = Regex::new(r":\d+\b").expect("a constant, used by every test");
    port.is_match(command.split(name).last().unwrap_or_default())
}

fn whole_number(digits: &str) -> Regex {
    Regex::new(&format!(r"\b{digits}\b")).expect("a number is a pattern")
}

fn unchanged(block: &Block) -> Replayed {
    Replayed {
        lines: block.lines.clone(),
        difference: None,
    }
}

/// The block, cut before each command.
fn exchanges(block: &Block) -> Vec<Exchange<'_>> {
    let mut exchanges: Vec<Exchange<'_>> = Vec::new();
    for (line, number) in block.lines.iter().zip(block.line + 1..) {
        match (line, exchanges.last_mut()) {
            (Line::Command(command), _) => exchanges.push(Exchange {
                line: number,
                command: Some(command),
                rest: Vec::new(),
            }),
            (line, Some(last)) => last.rest.push(line),
            (line, None) => exchanges.push(Exchange {
                line: number,
                command: None,
                rest: vec![line],
            }),
        }
    }
    exchanges
}

/// The words of the shell itself.
const BUILT_IN: [&str; 15] = [
    ".", ":", "cd", "do", "done", "echo", "exec", "exit", "export", "for", "kill", "ulimit",
    "until", "wait", "while",
];

/// The programs that a command runs and that a machine may lack: the first
/// word of each part of a pipeline, after assignments, and those that
/// `setting-up.md` names, wherever they stand.
fn tools(command: &str) -> Vec<String> {
    const NAMED: [&str; 7] = ["curl", "nc", "node", "python3", "ss", "strace", "telnet"];
    // What stands between quotes is for another program to read.
    let quoted = Regex::new(r#"'[^']*'|"[^"]*""#).expect("a constant, used by every test");
    let command = quoted.replace_all(command, "=");
    let named = command
        .split_whitespace()
        .filter(|word| NAMED.contains(word));
    let first = command
        .split(['|', ';'])
        .filter_map(|part| {
            let mut words = part.split_whitespace();
            let word = words.find(|word| !word.contains(['=', ':']))?;
            Some(word.trim_matches(['(', ')']))
        })
        .filter(|word| !word.contains('/') && !BUILT_IN.contains(word));
    named.chain(first).map(str::to_string).collect()
}

/// Writes the blocks as they were replayed into the chapter.
fn overwrite(chapter: &Chapter, blocks: &[Block], replayed: &[Replayed]) {
    let mut lines: Vec<String> = chapter.text.lines().map(str::to_string).collect();
    for (block, replayed) in blocks.iter().zip(replayed).rev() {
        let source = replayed.lines.iter().map(Line::source);
        let source: Vec<String> = source.map(|line| line.trim_end().to_string()).collect();
        lines.splice(block.line..block.line + block.lines.len(), source);
    }
    let written = fs::write(book::root().join(&chapter.file), lines.join("\n") + "\n");
    written.unwrap_or_else(|error| panic!("write {}: {error}", chapter.file.display()));
}

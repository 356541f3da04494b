//! `console` blocks: what was typed at a terminal, and what came back.
//!
//! A block promises that it happened. The page shows it through [`Block::html`],
//! and the tests replay it line by line. A line is one of these:
//!
//! | line                | what it is                                       |
//! | ------------------- | ------------------------------------------------ |
//! | `$ curl -v …`       | a command                                        |
//! | `typed: GET / …`    | a line typed into the running command            |
//! | `^C`                | Ctrl-C, pressed in the running command           |
//! | `^D`                | Ctrl-D, the end of what is typed                 |
//! | anything else       | output: `[..]` stands for any text within a line, and `...` for any lines |
//!
//! After the word `console` the info string may say `terminal=NAME`, for a
//! terminal of that name; `stage=NAME`, where the reader's own package is that stage, so
//! that `cargo run`, also with `-q` and with arguments, starts it; `stays`, for a last
//! command that goes on running; `until`, for commands that look at something which
//! may not have happened yet, or that measure a time on a machine that may be busy: they are
//! typed again until the page's answer comes, or two minutes have passed; and
//! `norun`, for a block that cannot be replayed, which the tests keep a list of.
//!
//! Without a name, a server is started in a terminal `server`; a block that does not
//! begin with a command goes on there, and all others are typed in `client`. A page with
//! more than one terminal shows the names.

use crate::course::{Chapter, Course};
use crate::{escape, Problem};

/// One fenced block marked `console`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of the opening fence in the chapter, from 1.
    pub line: usize,
    /// The terminal that it names.
    pub terminal: Option<String>,
    /// The stage that `cargo run` starts.
    pub stage: Option<String>,
    /// Whether its last command goes on running after the block.
    pub stays: bool,
    /// Whether its commands are typed again until they give what the page shows.
    pub until: bool,
    /// Whether it cannot be replayed.
    pub norun: bool,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// One line of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A command, without its prompt.
    Command(String),
    /// A line typed into the running command.
    Typed(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D.
    EndOfInput,
    /// A line of output, which may have wildcards.
    Output(String),
}

impl Line {
    /// Reads a line of a block.
    pub fn parse(text: &str) -> Line {
        if let Some(command) = text.strip_prefix("$ ") {
            return Line::Command(command.to_string());
        }
        if let Some(typed) = text.strip_prefix("typed:") {
            let typed = typed.strip_prefix(' ').unwrap_or(typed);
            return Line::Typed(typed.to_string());
        }
        match text {
            "^C" => Line::Interrupt,
            "^D" => Line::EndOfInput,
            output => Line::Output(output.to_string()),
        }
    }

    /// The line as a chapter writes it.
    pub fn source(&self) -> String {
        match self {
            Line::Command(command) => format!("$ {command}"),
            Line::Typed(typed) if typed.is_empty() => "typed:".to_string(),
            Line::Typed(typed) => format!("typed: {typed}"),
            Line::Interrupt => "^C".to_string(),
            Line::EndOfInput => "^D".to_string(),
            Line::Output(output) => output.clone(),
        }
    }
}

impl Block {
    /// Reads the block whose opening fence, with the info string `info`, stands
    /// in `line` of `chapter`.
    ///
    /// # Errors
    ///
    /// A word of the info string that nobody knows.
    pub fn parse(
        chapter: &Chapter,
        line: usize,
        info: &str,
        text: &[&str],
    ) -> Result<Block, Problem> {
        let mut block = Block {
            line,
            terminal: None,
            stage: None,
            stays: false,
            until: false,
            norun: false,
            lines: Vec::new(),
        };
        for word in info.split([',', ' ']).skip(1).filter(|w| !w.is_empty()) {
            match word.split_once('=') {
                Some(("terminal", name)) => block.terminal = Some(name.to_string()),
                Some(("stage", name)) => block.stage = Some(name.to_string()),
                None if word == "stays" => block.stays = true,
                None if word == "until" => block.until = true,
                None if word == "norun" => block.norun = true,
                _ => {
                    let what = format!("a console block is not `{word}`");
                    return Err(Problem::new(&chapter.file, line, what));
                }
            }
        }
        block.lines = text.iter().map(|text| Line::parse(text)).collect();
        Ok(block)
    }

    /// Looks at what only the course knows.
    ///
    /// # Errors
    ///
    /// A stage that nobody knows, or a command in its block that does not start it.
    pub fn check(&self, course: &Course, chapter: &Chapter) -> Result<(), Problem> {
        let Some(name) = &self.stage else {
            return Ok(());
        };
        let problem = |line, what| Err(Problem::new(&chapter.file, line, what));
        if course.program(name).is_none() {
            let table = crate::course::TABLE;
            let what = format!("there is no program `{name}` in {table}");
            return problem(self.line, what);
        }
        for (line, number) in self.lines.iter().zip(self.line + 1..) {
            match line {
                Line::Command(command) if stage_command(command).is_none() => {
                    let what = format!(
                        "a block of a stage runs it by `cargo run`, `cargo run -q` or \
                         `cargo run -- ARGUMENTS`, also into a pipe, or by \
                         `target/debug/PACKAGE`, and not by `{command}`"
                    );
                    return problem(number, what);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The block as the page shows it, under this label. Prompts are drawn by the style
    /// sheet, so that copying leaves them out; what was typed is `kbd`.
    pub fn html(&self, label: Option<String>) -> String {
        let mut html = String::new();
        if let Some(label) = label {
            let label = escape(&label);
            html.push_str(&format!("<p class=\"caption terminal\">{label}</p>\n\n"));
        }
        // Markdown lets HTML that begins with this tag have empty lines.
        html.push_str("<pre class=\"transcript\"><code class=\"nohighlight hljs\">");
        for line in &self.lines {
            let shown = match line {
                Line::Command(command) => {
                    format!("<span class=\"command\">{}</span>", escape(command))
                }
                Line::Typed(typed) => format!("<kbd>{}</kbd>", escape(typed)),
                Line::Interrupt => "<kbd>^C</kbd>".to_string(),
                Line::EndOfInput => "<kbd>^D</kbd>".to_string(),
                Line::Output(output) => escape(output).replace("[..]", "…"),
            };
            html.push_str(&shown);
            html.push('\n');
        }
        html.push_str("</code></pre>\n");
        html
    }
}

/// All console blocks of a chapter.
///
/// # Errors
///
/// The first block that cannot be read.
pub fn blocks(chapter: &Chapter) -> Result<Vec<Block>, Problem> {
    let mut blocks = Vec::new();
    for fence in fences(chapter)? {
        if fence.language() == "console" {
            let block = Block::parse(chapter, fence.line, &fence.info, &fence.lines)?;
            blocks.push(block);
        }
    }
    Ok(blocks)
}

/// A command that starts the stage of its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageCommand<'a> {
    /// What stands before the program: of `cargo run`, nothing.
    pub before: &'a str,
    /// The program's arguments.
    pub arguments: &'a str,
    /// A pipe, or another place for what it prints.
    pub after: &'a str,
}

/// Takes apart a command that starts the stage of its block, by `cargo run` or by the
/// path of what that has built.
pub fn stage_command(command: &str) -> Option<StageCommand<'_>> {
    let (before, rest) = match command.strip_prefix("cargo run") {
        Some(rest) => {
            let quiet = [" --quiet", " -q", ""].iter();
            let rest = quiet.copied().find_map(|quiet| rest.strip_prefix(quiet))?;
            let to_cargo = rest.starts_with(" -") && !rest.starts_with(" -- ");
            let rest = rest.strip_prefix(" --").unwrap_or(rest);
            ("", Some(rest).filter(|_| !to_cargo)?)
        }
        None => {
            let (before, rest) = command.split_once(PROGRAM)?;
            let ends = |letter: char| letter.is_whitespace() || matches!(letter, ';' | ')');
            (before, &rest[rest.find(ends).unwrap_or(rest.len())..])
        }
    };
    if !rest.is_empty() && !rest.starts_with([' ', ';', ')']) {
        return None;
    }
    let places = [" |", " >", " 2>", " <", " &", ";", ")"].iter();
    let end = places.filter_map(|place| rest.find(place)).min();
    let (arguments, after) = rest.split_at(end.unwrap_or(rest.len()));
    let arguments = arguments.trim();
    Some(StageCommand {
        before,
        arguments,
        after,
    })
}

/// What stands in a command for which Python's environment has to be there: it starts a
/// server of ours with Python inside, or one of Python's.
pub const PYTHON: [&str; 2] = ["--features python", "uvicorn --app-dir"];

/// Where cargo puts what it has built, in the reader's package.
const PROGRAM: &str = "target/debug/my-";

/// The server that a command starts in the foreground: a program of the course, or the
/// book's, which is called `book`.
pub fn served(course: &Course, command: &str) -> Option<String> {
    if command.trim_end().ends_with('&') {
        return None;
    }
    let words: Vec<&str> = command.split_whitespace().collect();
    if words.first() == Some(&"cp") {
        return None; // it copies a program, and starts none
    }
    if words == ["cargo", "run"] || words.starts_with(&["cargo", "run", "--", "--"]) {
        return Some("book".to_string());
    }
    fn started<'a>(word: &'a str, before: &str) -> Option<&'a str> {
        let name = word.strip_prefix("target/debug/").unwrap_or(word);
        (before == "--bin" || word != name).then_some(name)
    }
    let befores = [""].into_iter().chain(words.iter().copied());
    let name = words
        .iter()
        .zip(befores)
        .find_map(|(word, before)| started(word, before))?;
    let program = course.program(name)?;
    program.serves.then(|| program.name.clone())
}

/// The names of the terminals that the blocks of a page are typed in, if there is more
/// than one.
pub fn labels(course: &Course, blocks: &[Block]) -> Vec<Option<String>> {
    let mut server = None;
    let names: Vec<String> = blocks
        .iter()
        .map(|block| {
            let command = block.lines.iter().find_map(|line| match line {
                Line::Command(command) => Some(command),
                _ => None,
            });
            let goes_on = !matches!(block.lines.first(), Some(Line::Command(_)));
            let serves = match (&block.stage, command) {
                (Some(stage), Some(_)) => course.program(stage).is_some_and(|stage| stage.serves),
                (_, Some(command)) => served(course, command).is_some(),
                (_, None) => false,
            };
            let name = match (&block.terminal, serves) {
                (Some(name), _) => name.clone(),
                (None, true) => "server".to_string(),
                (None, false) if goes_on => server.clone().unwrap_or("client".to_string()),
                (None, false) => "client".to_string(),
            };
            if serves {
                server = Some(name.clone());
            }
            name
        })
        .collect();
    let several = names.iter().any(|name| *name != names[0]);
    names
        .into_iter()
        .map(|name| several.then_some(name))
        .collect()
}

/// A fenced code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence<'a> {
    /// The line of the opening fence, from 1.
    pub line: usize,
    /// The info string.
    pub info: String,
    /// The lines between the fences.
    pub lines: Vec<&'a str>,
}

impl Fence<'_> {
    /// The first word of the info string.
    pub fn language(&self) -> &str {
        let end = self.info.find([',', ' ']).unwrap_or(self.info.len());
        &self.info[..end]
    }
}

/// All fenced code blocks of a chapter.
///
/// # Errors
///
/// A fence that is never closed, or that does not begin in the first column:
/// the machinery would miss it.
pub fn fences(chapter: &Chapter) -> Result<Vec<Fence<'_>>, Problem> {
    let mut fences = Vec::new();
    let mut open: Option<(usize, Fence<'_>)> = None;
    for (text, line) in chapter.text.lines().zip(1..) {
        let trimmed = text.trim_start();
        let ticks = trimmed.len() - trimmed.trim_start_matches('`').len();
        let info = trimmed[ticks..].trim();
        match &mut open {
            Some((opened, fence)) => {
                if ticks >= *opened && info.is_empty() {
                    fences.extend(open.take().map(|(_, fence)| fence));
                } else {
                    fence.lines.push(text);
                }
            }
            None if ticks >= 3 && !info.contains('`') => {
                if trimmed.len() != text.len() {
                    let what = "a code block must begin in the first column";
                    return Err(Problem::new(&chapter.file, line, what));
                }
                let info = info.to_string();
                let lines = Vec::new();
                open = Some((ticks, Fence { line, info, lines }));
            }
            None => {}
        }
    }
    match open {
        Some((_, fence)) => {
            let what = "the code block is never closed";
            Err(Problem::new(&chapter.file, fence.line, what))
        }
        None => Ok(fences),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn chapter(text: &str) -> Chapter {
        Chapter {
            file: PathBuf::from("book/chapter.md"),
            text: text.to_string(),
        }
    }

    #[test]
    fn a_block_is_read_and_written() {
        let text = "x\n```console,terminal=two,stays\n$ nc 127.0.0.1 8888\ntyped: GET /<x>\ntyped:\nHTTP/1.1 [..]\n^C\n```\n";
        let blocks = blocks(&chapter(text)).unwrap();
        let [block] = &blocks[..] else {
            panic!("{blocks:?}")
        };
        assert_eq!((block.line, block.stays, block.norun), (2, true, false));
        let source: Vec<String> = block.lines.iter().map(Line::source).collect();
        assert_eq!(source, text.lines().collect::<Vec<_>>()[2..7]);
        assert_eq!(
            block.html(Some("<two>".to_string())),
            "<p class=\"caption terminal\">&lt;two&gt;</p>\n\n\
             <pre class=\"transcript\"><code class=\"nohighlight hljs\">\
             <span class=\"command\">nc 127.0.0.1 8888</span>\n\
             <kbd>GET /&lt;x&gt;</kbd>\n<kbd></kbd>\nHTTP/1.1 …\n<kbd>^C</kbd>\n\
             </code></pre>\n"
        );
    }

    #[test]
    fn a_stage_is_started_by_cargo_or_by_its_path() {
        let parts = |command| {
            let StageCommand {
                before,
                arguments,
                after,
            } = stage_command(command)?;
            Some([before, arguments, after])
        };
        for (command, expected) in [
            ("cargo run", ["", "", ""]),
            ("cargo run -q", ["", "", ""]),
            ("cargo run -- '[::1]:8888'", ["", "'[::1]:8888'", ""]),
            ("cargo run | cat -v", ["", "", " | cat -v"]),
            ("cargo run -- a 2>&1 | x", ["", "a", " 2>&1 | x"]),
            ("strace -f target/debug/my-server", ["strace -f ", "", ""]),
            ("target/debug/my-gateway a", ["", "a", ""]),
            ("target/debug/my-client; x $?", ["", "", "; x $?"]),
            ("(x; target/debug/my-loop)", ["(x; ", "", ")"]),
            ("(x; target/debug/my-loop a)", ["(x; ", "a", ")"]),
        ] {
            assert_eq!(parts(command), Some(expected), "{command}");
        }
        for command in [
            "curl x",
            "cargo runs",
            "cargo run --bin x",
            "target/debug/webserver1",
        ] {
            assert_eq!(parts(command), None, "{command}");
        }
    }

    #[test]
    fn a_longer_fence_holds_a_shorter_one() {
        let chapter = chapter("````text\n```console\n$ x\n```\n````\n");
        assert_eq!(fences(&chapter).unwrap().len(), 1);
        assert!(blocks(&chapter).unwrap().is_empty());
    }

    #[test]
    fn mistakes_name_the_line() {
        for (text, message) in [
            (
                "```console,hidden\n```",
                "1: a console block is not `hidden`",
            ),
            ("\n```console\n$ x", "2: the code block is never closed"),
            (
                "- x\n  ```console\n  ```",
                "2: a code block must begin in the first column",
            ),
        ] {
            let error = blocks(&chapter(text)).unwrap_err();
            assert_eq!(error.to_string(), format!("book/chapter.md:{message}"));
        }
    }
}

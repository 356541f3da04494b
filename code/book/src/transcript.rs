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
//! second terminal; `stays`, for a last command that goes on running; and
//! `norun`, for a block that cannot be replayed, which the tests keep a list of.

use crate::course::Chapter;
use crate::Problem;

/// One fenced block marked `console`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of the opening fence in the chapter, from 1.
    pub line: usize,
    /// The terminal that it names.
    pub terminal: Option<String>,
    /// Whether its last command goes on running after the block.
    pub stays: bool,
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
            stays: false,
            norun: false,
            lines: Vec::new(),
        };
        for word in info.split([',', ' ']).skip(1).filter(|w| !w.is_empty()) {
            match word.split_once('=') {
                Some(("terminal", name)) => block.terminal = Some(name.to_string()),
                None if word == "stays" => block.stays = true,
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

    /// The block as the page shows it. Prompts are drawn by the style sheet, so
    /// that copying leaves them out; what was typed is `kbd`.
    pub fn html(&self) -> String {
        let mut html = String::new();
        if let Some(name) = &self.terminal {
            let name = escape(name);
            html.push_str(&format!("<p class=\"caption\">terminal: {name}</p>\n\n"));
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

/// `text` as HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
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
            block.html(),
            "<p class=\"caption\">terminal: two</p>\n\n\
             <pre class=\"transcript\"><code class=\"nohighlight hljs\">\
             <span class=\"command\">nc 127.0.0.1 8888</span>\n\
             <kbd>GET /&lt;x&gt;</kbd>\n<kbd></kbd>\nHTTP/1.1 …\n<kbd>^C</kbd>\n\
             </code></pre>\n"
        );
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

//! The rules of the house.

use book::course::Chapter;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use tests::left_out;
use tests::programs::{cargo, course};

/// No arrow between packages runs against `partN → prefork → apps → gateway`; `no_epoll`
/// stands beside the part whose programs need it; `book`,
/// `bench` and `tests` may know everything, and nothing knows them but `tests`,
/// which checks the book. Programs are known by their names: `bench` starts what
/// its table says.
fn allowed(from: &str, to: &str) -> bool {
    match from {
        "gateway" => false,
        "apps" => to == "gateway",
        "book" | "bench" => false,
        "tests" => !["tests", "bench"].contains(&to),
        "prefork" => ["apps", "gateway"].contains(&to),
        "no_epoll" => false,
        "part4" if to == "no_epoll" => true,
        part => part.starts_with("part") && ["prefork", "apps", "gateway"].contains(&to),
    }
}

#[test]
fn arrows_between_packages_run_one_way() {
    let packages = packages();
    let wrong: Vec<String> = packages
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
        .filter(|(from, to)| packages.contains_key(*to) && !allowed(from, to))
        .map(|(from, to)| format!("{from} must not depend on {to}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn webserver1_needs_the_standard_library_alone() {
    let needs = &packages()["part1"];
    assert!(needs.is_empty(), "part1 depends on {needs:?}");
}

/// A folder that inherits from the workspace cannot be copied out of it.
#[test]
fn parts_have_plain_manifests() {
    let root = book::root();
    for entry in fs::read_dir(root.join("code")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("part") {
            continue;
        }
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        for (line, number) in manifest.lines().zip(1..) {
            assert!(
                !line.contains("workspace"),
                "code/{name}/Cargo.toml:{number}: inherits from the workspace: {line}"
            );
        }
    }
}

/// The lints stand in every package, because what inherits from the workspace cannot
/// be copied out of it, and so does the Rust that is needed.
#[test]
fn packages_have_the_same_lints_and_the_same_rust() {
    const LINTS: &str = "[lints.rust]\nunsafe_op_in_unsafe_fn = \"warn\"\n\n\
                         [lints.clippy]\nundocumented_unsafe_blocks = \"warn\"\n\n";
    const RUST: &str = "\nrust-version = \"1.89\"\n";
    let root = book::root();
    let inside = ["tests", "code/part4/no_epoll"]; // of no folder of their own in code
    let mut manifests = inside
        .map(|folder| root.join(folder).join("Cargo.toml"))
        .to_vec();
    for entry in fs::read_dir(root.join("code")).unwrap() {
        manifests.push(entry.unwrap().path().join("Cargo.toml"));
    }
    assert_eq!(manifests.len(), packages().len(), "{manifests:?}");
    for path in manifests {
        let manifest = fs::read_to_string(&path).unwrap();
        for wanted in [LINTS, RUST] {
            let there = manifest.contains(wanted);
            assert!(there, "{} lacks:\n{wanted}", path.display());
        }
        assert_eq!(manifest.matches("[lints").count(), 2, "{}", path.display());
    }
}

#[test]
fn the_summary_has_every_chapter() {
    let summary = fs::read_to_string(book::root().join("book/SUMMARY.md")).unwrap();
    for chapter in course().chapters().unwrap() {
        let path = chapter.file.strip_prefix("book").unwrap();
        let link = format!("({})", path.display());
        assert!(
            summary.contains(&link),
            "book/SUMMARY.md leaves out {}",
            path.display()
        );
    }
}

/// A snippet that is not compiled is no snippet of this book.
#[test]
fn no_snippet_is_ignored() {
    for chapter in course().chapters().unwrap() {
        for fence in book::transcript::fences(&chapter).unwrap() {
            let ignored = fence.language() == "rust" && fence.info.contains("ignore");
            let place = format!("{}:{}", chapter.file.display(), fence.line);
            assert!(!ignored, "{place}: nothing compiles this snippet");
        }
    }
}

/// The blocks that cannot be replayed are those of `tests/not-replayed.txt`,
/// each with its reason. The list may only get shorter: a longer one needs a
/// larger number here, and so a second thought.
#[test]
fn blocks_that_are_not_replayed_are_listed() {
    const MOST: usize = 2;
    let list = fs::read_to_string(book::root().join("tests/not-replayed.txt")).unwrap();
    let listed: BTreeSet<String> = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (block, reason) = line.split_once(" | ").unwrap_or((line, ""));
            assert!(
                !reason.trim().is_empty(),
                "tests/not-replayed.txt gives no reason: {line}"
            );
            block.to_string()
        })
        .collect();
    let mut marked = BTreeSet::new();
    for chapter in course().chapters().unwrap() {
        for block in book::transcript::blocks(&chapter).unwrap() {
            if block.norun {
                let first = block
                    .lines
                    .first()
                    .map(|line| line.source())
                    .unwrap_or_default();
                marked.insert(format!("{}: {first}", chapter.file.display()));
            }
        }
    }
    assert_eq!(
        marked, listed,
        "marked in the book, and listed in tests/not-replayed.txt"
    );
    assert!(
        listed.len() <= MOST,
        "more blocks than {MOST} are not replayed"
    );
}

/// What a finished chapter has, by the words of `tests/unfinished-chapters.txt`.
const FORM: [(&str, &str); 4] = [
    ("words", "1,200 to 3,500 words"),
    (
        "listings",
        "no more than three listings in a row without prose",
    ),
    (
        "break",
        "where it shows code: a section \"Break it\", with prose and with what comes",
    ),
    (
        "exercises",
        "where it adds a program: two exercises, `**Title** (*kind*, `name`)`, with their tests",
    ),
];

/// The chapters that lack something of that are those of `tests/unfinished-chapters.txt`.
/// The list may only get shorter: a longer one needs a larger number here, and so a second
/// thought. `SNAPSHOTS=overwrite` takes off it what has been done.
#[test]
fn chapters_that_are_not_finished_are_listed() {
    const MOST: usize = 15;
    const LIST: &str = "tests/unfinished-chapters.txt";
    let list = fs::read_to_string(book::root().join(LIST)).unwrap();
    let listed = list.lines().filter_map(|line| {
        let (chapter, words) = line.split_once(": ").filter(|_| !line.starts_with('#'))?;
        let words = words.split(", ").map(str::to_string);
        Some((chapter.to_string(), words.collect()))
    });
    let listed: BTreeMap<String, BTreeSet<String>> = listed.collect();
    let exercises = fs::read_to_string(book::root().join("tests/suite/exercises.rs")).unwrap();
    let mut lacking: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut problems = Vec::new();
    for chapter in course().chapters().unwrap() {
        let in_a_part = chapter.file.to_string_lossy().starts_with("book/part");
        let folder = chapter.file.parent().unwrap();
        if !in_a_part || folder.ends_with("solutions") || chapter.file.ends_with("map.md") {
            continue;
        }
        let file = chapter.file.display().to_string();
        for (word, found) in lacks(&chapter, &exercises) {
            if !listed.get(&file).is_some_and(|words| words.contains(word)) {
                let wanted = FORM.iter().find(|(other, _)| *other == word).unwrap().1;
                problems.push(format!("{file}: {found}; wanted: {wanted}"));
            }
            let words = lacking.entry(file.clone()).or_default();
            words.insert(word.to_string());
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let count = |list: &BTreeMap<String, BTreeSet<String>>| -> usize {
        list.values().map(BTreeSet::len).sum()
    };
    assert!(count(&listed) <= MOST, "{LIST} has more than {MOST} words");
    if listed != lacking {
        let line = |(chapter, words): (&String, &BTreeSet<String>)| {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            format!("{chapter}: {}\n", words.join(", "))
        };
        let head = list.lines().take_while(|line| line.starts_with('#'));
        let head: String = head.map(|line| format!("{line}\n")).collect();
        let new = format!("{head}{}", lacking.iter().map(line).collect::<String>());
        match std::env::var("SNAPSHOTS").is_ok_and(|word| word == "overwrite") {
            true => fs::write(book::root().join(LIST), new).unwrap(),
            false => panic!(
                "{LIST} has what is done: take it off, or let SNAPSHOTS=overwrite do it:\n{new}"
            ),
        }
    }
}

/// What a chapter lacks of [`FORM`], each with what was found instead.
fn lacks(chapter: &Chapter, exercises: &str) -> Vec<(&'static str, String)> {
    let page = Outline::of(chapter);
    let mut lacks = Vec::new();
    if !(1_200..=3_500).contains(&page.words) {
        lacks.push(("words", format!("{} words", page.words)));
    }
    if page.listings > 3 {
        let found = format!(
            "{} listings in a row, to line {}",
            page.listings, page.last_of_them
        );
        lacks.push(("listings", found));
    }
    if page.shows_code && !page.breaks {
        lacks.push(("break", "nothing to break".to_string()));
    }
    // `**Title** (*kind*, `name`)`, and whatever else stands in the brackets.
    let kind = "(?:break|repair|extend|measure|build)";
    let form = format!(r"(?m)^\*\*[^*\n]+\*\* \(\*{kind}\b[^*\n]*\*([^)]*)\)");
    let name = regex::Regex::new(r"`(?:exercises::)?(\w+)`").unwrap();
    let form = regex::Regex::new(&form).unwrap();
    let asked = form.captures_iter(&chapter.text).filter(|found| {
        name.captures_iter(&found[1]).any(|name| {
            let test = format!(r#"exercise\(\s*"{}""#, &name[1]);
            regex::Regex::new(&test).unwrap().is_match(exercises)
        })
    });
    let asked = asked.count();
    if page.adds_program && asked < 2 {
        lacks.push(("exercises", format!("exercises with a test: {asked}")));
    }
    lacks
}

/// What is counted of a chapter.
#[derive(Default)]
struct Outline {
    /// The words of its prose: neither blocks, nor directives, nor the signs of HTML.
    words: usize,
    /// The most listings in a row without prose between them, and the line of the last.
    listings: usize,
    last_of_them: usize,
    /// Whether it shows code of a program or of a library.
    shows_code: bool,
    adds_program: bool,
    /// Whether it has a section to break something in.
    breaks: bool,
}

impl Outline {
    fn of(chapter: &Chapter) -> Outline {
        let tag = regex::Regex::new("<[^>]*>").unwrap();
        let fences = book::transcript::fences(chapter).unwrap();
        let mut outline = Outline::default();
        let mut in_a_row = 0;
        // The level of the section in which something is broken, its words, and its blocks.
        let mut section: Option<(usize, usize, usize)> = None;
        let mut lines = chapter.text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            let fence = fences.iter().find(|fence| fence.line == number);
            let directives = book::includes::directives(line);
            let directive = directives.first().map_or("", |directive| directive.name);
            let shown = matches!(directive, "step" | "diff" | "program");
            let listing = match fence {
                Some(fence) => !["console", "sh", "text"].contains(&fence.language()),
                None => matches!(directive, "step" | "diff"),
            };
            if listing {
                in_a_row += 1;
                if in_a_row > outline.listings {
                    (outline.listings, outline.last_of_them) = (in_a_row, number);
                }
            }
            if let (true, Some((_, _, blocks))) = (fence.is_some() || listing, &mut section) {
                *blocks += 1;
            }
            outline.adds_program |= matches!(directive, "step" | "program");
            outline.shows_code |= shown;
            if let Some(fence) = fence {
                let of_code = fence.lines.iter().any(|line| {
                    let included = line.contains("include ") && line.contains("/code/");
                    included && line.contains(".rs")
                });
                outline.shows_code |= of_code;
                lines.nth(fence.lines.len()); // up to the closing fence
                continue;
            }
            if line.trim_start().starts_with("{{#") && line.trim_end().ends_with("}}") {
                continue;
            }
            let text = tag.replace_all(line, " ");
            let words = text.split_whitespace();
            let words = words.filter(|word| word.chars().any(char::is_alphanumeric));
            let words = words.count();
            outline.words += words;
            if let Some(title) = line.strip_prefix('#') {
                let level = title.len() - title.trim_start_matches('#').len();
                let open = section.filter(|(other, ..)| *other < level);
                let breaks = title.to_lowercase().contains("break it");
                section = open.or(breaks.then_some((level, 0, 0)));
            } else if words > 0 {
                in_a_row = 0;
                if let Some((_, prose, _)) = &mut section {
                    *prose += words;
                }
            }
            outline.breaks |= section.is_some_and(|(_, words, blocks)| words >= 10 && blocks > 0);
        }
        outline.breaks |= section.is_some_and(|(_, words, blocks)| words >= 10 && blocks > 0);
        outline
    }
}

/// A chapter that lacks one thing after the other.
#[test]
fn what_a_chapter_lacks_is_seen() {
    let exercises = "exercise(\n    \"one\", exercise(\"two\",";
    let lacks = |text: &str| -> Vec<&str> {
        let chapter = Chapter {
            file: "book/part1/page.md".into(),
            text: text.to_string(),
        };
        let lacks = lacks(&chapter, exercises);
        lacks.into_iter().map(|(word, _)| word).collect()
    };
    let prose = "A word and another.\n".repeat(400);
    let listing = "```rust\nfn main() {}\n```\n\n";
    let program = "{{#program webserver1}}\n\n";
    let broken = "### Break it\n\nTake out the line that closes the connection, and ask again.\n\n\
                  ```console\n$ curl x\n```\n\n";
    let asked = "**One** (*extend*, `one`). Do.\n\n\
                 **Two** (*break*; from `x`; test\n`exercises::two`). Do.\n";
    let whole = format!("# A\n\n{program}{prose}\n{listing}{listing}{listing}{broken}{asked}");
    assert_eq!(lacks(&whole), [""; 0]);
    assert_eq!(lacks(&whole.replace(&prose, "Short.\n")), ["words"]);
    assert_eq!(lacks(&format!("{whole}{prose}{prose}")), ["words"]);
    let four = format!("{listing}## B\n\n```console\n```\n\n{listing}{listing}{listing}");
    assert_eq!(lacks(&whole.replacen(listing, &four, 1)), ["listings"]);
    assert_eq!(lacks(&whole.replace("### Break it", "### It")), ["break"]);
    assert_eq!(
        lacks(&whole.replace("```console\n$ curl x\n```\n\n", "")),
        ["break"]
    );
    // What comes under the next heading is not part of it.
    let apart = whole.replace("ask again.\n\n", "ask again.\n\n## C\n\n");
    assert_eq!(lacks(&apart), ["break"]);
    assert_eq!(lacks(&whole.replace("::two", "::three")), ["exercises"]);
    assert_eq!(
        lacks(&whole.replace(program, "").replace(asked, "")),
        [""; 0]
    );
}

/// Pages are replayed beside each other, and a reader keeps what an earlier page left:
/// what a page writes stands under `target/`, in a file that no other page names.
#[test]
fn a_file_that_a_page_writes_is_its_own() {
    let file = regex::Regex::new(r"(?:target|/tmp)/[\w.-]+").unwrap();
    let redirected = regex::Regex::new(r">>?\s*([^\s&;|>)]+)").unwrap();
    let quoted = regex::Regex::new(r#"'[^']*'|"[^"]*""#).unwrap();
    let of_cargo = ["target/debug", "target/release", "target/venv"];
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for chapter in course().chapters().unwrap() {
        let page = chapter.file.display().to_string();
        for block in book::transcript::blocks(&chapter).unwrap() {
            for line in block.lines {
                let book::transcript::Line::Command(command) = line else {
                    continue;
                };
                for file in file.find_iter(&command).map(|found| found.as_str()) {
                    if !of_cargo.contains(&file) {
                        let pages = owners.entry(file.to_string()).or_default();
                        pages.insert(page.clone());
                    }
                }
                for found in redirected.captures_iter(&quoted.replace_all(&command, "")) {
                    let to = &found[1];
                    // A number stands behind the shell's own `>>`, in its arithmetic.
                    let number = to.parse::<u32>().is_ok();
                    let known = to == "/dev/null" || number || file.is_match(to);
                    assert!(known, "{page}: `{command}` writes {to}, outside of target/");
                }
            }
        }
    }
    for (file, pages) in owners {
        assert_eq!(pages.len(), 1, "{file} belongs to one page: {pages:?}");
    }
}

/// Colours of a terminal, for instance, that were copied along.
#[test]
fn no_control_characters_in_the_text() {
    for chapter in course().chapters().unwrap() {
        for (line, number) in chapter.text.lines().zip(1..) {
            let control = line.chars().any(|c| c.is_control() && c != '\t');
            let place = format!("{}:{number}", chapter.file.display());
            assert!(!control, "{place}: a control character: {line:?}");
        }
    }
}

/// The README's commands are the ones that are tested.
#[test]
fn the_readme_gives_the_commands() {
    let readme = fs::read_to_string(book::root().join("README.md")).unwrap();
    for command in [
        "cargo run",
        "cargo test",
        "cargo run --bin webserver1",
        "cargo run --release -p bench",
    ] {
        let stands = readme.lines().any(|line| line.trim() == command);
        assert!(stands, "README.md has no line `{command}`");
    }
    for file in readme_files(&readme) {
        assert!(
            book::root().join(&file).exists(),
            "README.md: there is no {file}"
        );
    }
}

/// The relative links and images of the README, but for those to the pages that a host
/// keeps beside the files.
fn readme_files(readme: &str) -> Vec<String> {
    readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .filter(|target| !target.starts_with("../../"))
        .map(|target| target.split('#').next().unwrap_or(target).to_string())
        .collect()
}

/// Each package of the workspace, with the packages it depends on.
fn packages() -> BTreeMap<String, BTreeSet<String>> {
    let mut metadata = cargo();
    metadata.args([
        "metadata",
        "--no-deps",
        "--offline",
        "--locked",
        "--format-version",
        "1",
    ]);
    let output = metadata.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {errors}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &serde_json::Value| value["name"].as_str().unwrap().to_string();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap();
            (name(package), dependencies.iter().map(name).collect())
        })
        .collect()
}

/// Nothing but the course stands at the top of the repository. What a reader
/// has put there and not committed is the reader's own affair.
#[test]
fn the_top_of_the_repository_is_small() {
    let known = [
        ".cargo",
        ".ci",
        ".github",
        ".gitignore",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-CC-BY",
        "LICENSE-MIT",
        "README.md",
        "book",
        "book.toml",
        "code",
        "tests",
    ];
    let mut git = Command::new("git");
    git.args(["ls-tree", "--name-only", "HEAD"]);
    let output = git.current_dir(book::root()).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        return left_out("the top of the repository", "git history of it");
    };
    for name in String::from_utf8_lossy(&output.stdout).lines() {
        assert!(
            known.contains(&name),
            "{name} stands at the top of the repository"
        );
    }
}

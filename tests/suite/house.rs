//! The rules of the house.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use tests::left_out;
use tests::programs::{cargo, course};

/// No arrow between packages runs against `partN → apps → gateway`; `book`,
/// `bench` and `tests` may know everything, and nothing knows them but `tests`,
/// which checks the book. Programs are known by their names: `bench` starts what
/// its table says.
fn allowed(from: &str, to: &str) -> bool {
    match from {
        "gateway" => false,
        "apps" => to == "gateway",
        "book" | "bench" => false,
        "tests" => !["tests", "bench"].contains(&to),
        part => part.starts_with("part") && ["apps", "gateway"].contains(&to),
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
    let mut manifests = vec![root.join("tests/Cargo.toml")];
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

/// The relative links and images of the README.
fn readme_files(readme: &str) -> Vec<String> {
    readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
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

//! Every program stands alone: copied or typed into a package of its own, it compiles.
//!
//! Cargo compiles what the copies are made of once more, which takes longer than anything
//! else in a first run. The tests begin in the order of their names, and these first.

use crate::pages::{files, listing, pages};
use book::course::Program;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tests::programs::{check, check_alone, course, write};

/// Each program's page lists it, and the listing, with the dependency lines
/// that the page names, compiles in an empty package.
///
/// Those that name the same lines are checked together: none gets anything of another.
/// What a copy may lack is a dependency or a feature of one, and `cargo check` finds it.
/// The text has been linked and started as a program of its part.
#[test]
fn programs_can_be_copied() {
    let (course, copies) = (course(), copies());
    let mut alike: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for program in course.programs.iter().filter(|program| !program.is_stage()) {
        let (listing, dependencies) = listing(&pages(), program);
        // A page leaves out the line end of the last line.
        let name = &program.name;
        assert!(
            listing == program.source().trim_end(),
            "the listing of {name} is not its file"
        );
        for library in program.folders(course) {
            copy(&course.root.join(&library), &copies);
        }
        let programs = alike.entry(dependencies).or_default();
        programs.push((name.clone(), format!("{listing}\n")));
    }
    let mut failed = Vec::new();
    for (number, (dependencies, programs)) in alike.iter().enumerate() {
        let package = format!("together-{number}");
        if let Err(error) = check_alone(&copies, &package, programs, dependencies) {
            let names: Vec<&String> = programs.iter().map(|(name, _)| name).collect();
            failed.push(format!(
                "one of {names:?} does not compile when copied:\n{error}"
            ));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// What the reader types of each stage compiles in a package of its own. (That it links
/// and runs is known from its file, which the transcripts start.)
#[test]
fn stages_can_be_typed() {
    let (course, copies) = (course(), copies());
    let mut packages: BTreeMap<BTreeSet<&str>, Vec<(String, String)>> = BTreeMap::new();
    for stage in course.programs.iter().filter(|program| program.is_stage()) {
        for library in stage.folders(course) {
            copy(&course.root.join(&library), &copies);
        }
        let lines = stage.dependencies.iter().map(String::as_str);
        let package = packages.entry(lines.collect()).or_default();
        package.push((stage.name.clone(), stage.typed()));
    }
    for (number, (lines, stages)) in packages.into_iter().enumerate() {
        let lines: Vec<&str> = lines.into_iter().collect();
        let dependencies = format!("[dependencies]\n{}", lines.join("\n"));
        let package = format!("stages-{number}");
        let checked = check_alone(&copies, &package, &stages, &dependencies);
        checked.unwrap_or_else(|error| panic!("stages do not compile when typed:\n{error}"));
    }
}

/// The folder of the copies, whose libraries are compiled once for programs and parts.
struct Copies {
    folder: PathBuf,
    /// One test at a time copies and builds.
    _copying: MutexGuard<'static, ()>,
}

fn copies() -> Copies {
    static COPYING: Mutex<()> = Mutex::new(());
    Copies {
        folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join("copies"),
        _copying: COPYING.lock().unwrap_or_else(PoisonError::into_inner),
    }
}

impl std::ops::Deref for Copies {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.folder
    }
}

/// Copies a folder into another, and gives the copy; cargo goes by the times of its files.
fn copy(folder: &Path, into: &Path) -> PathBuf {
    let into = into.join(folder.file_name().unwrap());
    for file in files_to_copy(folder, &into) {
        let text = fs::read_to_string(folder.join(&file)).unwrap();
        write(&into.join(&file), &text);
    }
    into
}

/// The files of a folder. What an earlier copy of it has besides them goes.
fn files_to_copy(folder: &Path, copy: &Path) -> BTreeSet<PathBuf> {
    let there = files(folder);
    if copy.is_dir() {
        let ours = ["Cargo.lock", ".content"].map(PathBuf::from).into(); // of the checks
        let more = &(&files(copy) - &there) - &ours;
        more.iter()
            .for_each(|file| fs::remove_file(copy.join(file)).unwrap());
    }
    there
}

/// Each part's folder compiles outside of the workspace, with the libraries that
/// it names beside it.
///
/// The programs of the course's table are left to the two other tests: there they compile
/// with some of this manifest's dependencies, each line as it stands here, so with all of
/// them they do too. What the default features bring in, a web framework, is compiled for
/// one of the parts: it comes from `apps` to all of them.
#[test]
fn parts_can_be_copied() {
    let copies = copies();
    let code = book::root().join("code");
    for entry in fs::read_dir(&code).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if !name.starts_with("part") {
            continue;
        }
        let folder = copies.join(&name);
        let mut targets = vec!["--examples".to_string()];
        if name != "part2" {
            targets.push("--no-default-features".to_string());
        }
        let libraries = course().libraries.iter();
        let on = libraries.map(|library| copy(&book::root().join(&library.folder), &copies));
        let on = on.collect();
        for file in files_to_copy(&code.join(&name), &folder) {
            let mut text = fs::read_to_string(code.join(&name).join(&file)).unwrap();
            if file == Path::new("Cargo.toml") {
                targets.extend(bins_beside(&text, &course().programs));
                text.push_str("\n[workspace]\n");
            }
            write(&folder.join(&file), &text);
        }
        let checked = check(&folder, &targets, &on, &copies.join("target"));
        checked
            .unwrap_or_else(|error| panic!("code/{name} does not compile when copied:\n{error}"));
    }
}

/// Cargo's options for the programs of a manifest that are none of `programs`.
fn bins_beside(manifest: &str, programs: &[Program]) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().unwrap();
    let bins = manifest["bin"].as_array().unwrap().iter();
    let names = bins.map(|bin| bin["name"].as_str().unwrap());
    let others = names.filter(|name| !programs.iter().any(|program| program.name == *name));
    others.map(|name| format!("--bin={name}")).collect()
}

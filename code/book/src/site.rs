//! Builds the book with mdBook's own library.

use crate::preprocessor::Preprocessor;
use anyhow::Context;
use mdbook_driver::config::Config;
use mdbook_driver::MDBook;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{symlink, MetadataExt};
use std::path::Path;
use std::{env, process};

/// Builds the book of the repository at `root` into `destination`, with our
/// preprocessor in this process instead of the command in `book.toml`.
///
/// # Errors
///
/// A mistake in a chapter, which names its place, or in `book.toml`; a
/// destination that cannot be written.
pub fn build(root: &Path, destination: &Path) -> anyhow::Result<()> {
    let mut config = Config::from_disk(root.join("book.toml")).context("read book.toml")?;
    // mdBook would take a path that is not absolute for one that begins at `root`.
    config.build.build_dir = std::path::absolute(destination).context("find the destination")?;
    let mut book = MDBook::load_with_config(root, config).context("read the chapters")?;
    // Of the same name as the command, whose place it takes.
    book.with_preprocessor(Preprocessor);
    book.build()
}

/// Builds the book of the repository at `root` for who serves it from `link`, a symbolic
/// link that leads to one of two folders beside it, by turns. Another that serves the same
/// pages has the old ones until all the new ones are there. If neither a file of the book
/// nor this program has changed since, the pages stay as they are.
///
/// # Errors
///
/// Those of [`build`]; a link that cannot be made; a file whose age cannot be asked for.
pub fn renew(root: &Path, link: &Path) -> anyhow::Result<()> {
    let program = env::current_exe().context("find this program")?;
    renew_by(
        link,
        || made_of(root, &program),
        |folder| build(root, folder),
    )
}

/// A line for each file that the pages are made of, and one for the program that makes them.
fn made_of(root: &Path, program: &Path) -> anyhow::Result<String> {
    let mut of = String::new();
    for source in SOURCES {
        list(&root.join(source), &mut of)?;
    }
    if list(program, &mut of).is_err() {
        // It was compiled anew since it was started. The new one makes the pages anew.
        writeln!(of, "process {}, whose program has gone", process::id())?;
    }
    Ok(of)
}

/// What the pages are made of, from the top of the repository.
const SOURCES: [&str; 4] = ["book.toml", "book", "code", "tests"];

/// Adds a line for each file at or under `path`: its size in bytes, when it was last
/// written, and its path. What begins with a dot is an editor's, `__pycache__` Python's.
///
/// # Errors
///
/// A file that cannot be looked at.
pub fn list(path: &Path, lines: &mut String) -> anyhow::Result<()> {
    let about = || format!("look at {}", path.display());
    let metadata = fs::metadata(path).with_context(about)?;
    if !metadata.is_dir() {
        let (size, seconds, rest) = (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        writeln!(lines, "{size} {seconds}.{rest:09} {}", path.display())?;
        return Ok(());
    }
    let entries = fs::read_dir(path).with_context(about)?;
    let names = entries.map(|entry| Ok(entry?.file_name()));
    let mut names: Vec<OsString> = names.collect::<io::Result<_>>().with_context(about)?;
    names.retain(|name| !name.as_encoded_bytes().starts_with(b".") && name != "__pycache__");
    names.sort();
    names
        .iter()
        .try_for_each(|name| list(&path.join(name), lines))
}

/// Renews what `link` leads to by `build`, unless the pages there are made of the same.
fn renew_by(
    link: &Path,
    of: impl FnOnce() -> anyhow::Result<String>,
    build: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let beside = link.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(beside).with_context(|| format!("make {}", beside.display()))?;
    // One at a time. The kernel lets go of the lock when its holder ends, however it ends.
    let lock = link.with_extension("lock");
    let lock = File::create(&lock).with_context(|| format!("make {}", lock.display()))?;
    lock.lock().context("wait for another build of the book")?;

    // Before the build: what is edited meanwhile is newer than this says.
    let of = of()?;
    let made_of = link.with_extension("of");
    if link.is_dir() && fs::read_to_string(&made_of).is_ok_and(|made_of| made_of == of) {
        return Ok(());
    }
    let [one, other] = ["0", "1"].map(|turn| link.with_extension(turn));
    let old = fs::read_link(link).ok();
    let is_one = old.is_some_and(|old| one.ends_with(old));
    let new = if is_one { other } else { one };
    build(&new)?;

    let made = link.with_extension("new");
    let _ = fs::remove_file(&made); // of a build that was killed
    let name = new.file_name().unwrap_or_default();
    // A link is renamed over another in one step, which a folder is not.
    let linked = symlink(name, &made).and_then(|()| fs::rename(&made, link));
    linked.with_context(|| format!("make the link {}", link.display()))?;
    fs::write(&made_of, of).with_context(|| format!("write {}", made_of.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn who_reads_meanwhile_finds_the_old_pages() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("pages");
        let read = || fs::read_to_string(link.join("index.html")).unwrap();
        for turn in 0..5 {
            let of = || Ok(turn.to_string());
            renew_by(&link, of, |folder| {
                let _ = fs::remove_dir_all(folder); // as mdBook does
                fs::create_dir(folder)?;
                if turn > 0 {
                    assert_eq!(read(), (turn - 1).to_string());
                }
                Ok(fs::write(folder.join("index.html"), turn.to_string())?)
            })
            .unwrap();
            assert_eq!(read(), turn.to_string());
        }
    }

    #[test]
    fn a_build_that_fails_leaves_the_old_pages() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("pages");
        let (old, new) = (|| Ok("old".to_string()), || Ok("new".to_string()));
        let fill = |folder: &Path| Ok(fs::create_dir_all(folder.join("old"))?);
        renew_by(&link, old, fill).unwrap();
        let failed = renew_by(&link, new, |_| anyhow::bail!("no"));
        assert_eq!(failed.unwrap_err().to_string(), "no");
        assert!(link.join("old").is_dir());
        // And the next tries again.
        let fill = |folder: &Path| Ok(fs::create_dir_all(folder.join("new"))?);
        renew_by(&link, new, fill).unwrap();
        assert!(link.join("new").is_dir() && !link.join("old").exists());
    }

    #[test]
    fn what_is_made_of_the_same_stays() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("pages");
        let sources = folder.path().join("sources");
        fs::create_dir_all(sources.join("under")).unwrap();
        fs::write(sources.join("under/one"), "1").unwrap();
        let mut built = 0;
        let mut renew = |built_now: bool, why: &str| {
            let before = built;
            let of = || {
                let mut of = String::new();
                list(&sources, &mut of).map(|()| of)
            };
            renew_by(&link, of, |folder| {
                built += 1;
                Ok(fs::create_dir_all(folder)?)
            })
            .unwrap();
            assert_eq!(built > before, built_now, "{why}");
        };
        renew(true, "there was nothing");
        renew(false, "nothing has changed");
        fs::write(sources.join("under/one"), "10").unwrap();
        renew(true, "a file has changed its size");
        let later = SystemTime::now() + Duration::from_secs(1);
        let one = File::options().write(true).open(sources.join("under/one"));
        one.unwrap().set_modified(later).unwrap();
        renew(true, "a file was written");
        fs::rename(sources.join("under/one"), sources.join("under/two")).unwrap();
        renew(true, "a file has another name");
        fs::write(sources.join("three"), "").unwrap();
        renew(true, "there is one more");
        fs::remove_file(sources.join("three")).unwrap();
        renew(true, "there is one less");
        fs::write(sources.join(".three.swp"), "").unwrap();
        fs::create_dir(sources.join("__pycache__")).unwrap();
        fs::write(sources.join("__pycache__/x"), "").unwrap();
        renew(false, "what an editor and Python leave behind is not read");
        fs::remove_dir_all(link.with_extension("0")).unwrap();
        fs::remove_dir_all(link.with_extension("1")).unwrap();
        renew(true, "the pages were deleted");
        renew(false, "nothing has changed again");
    }

    #[test]
    fn a_program_that_was_compiled_anew_makes_pages_all_the_same() {
        let root = crate::root();
        let there = made_of(&root, &env::current_exe().unwrap()).unwrap();
        let gone = made_of(&root, &root.join("target/debug/book (deleted)")).unwrap();
        assert!(gone.contains("whose program has gone"), "{gone}");
        assert_ne!(there, gone);
        let nowhere = made_of(&root.join("nowhere"), &env::current_exe().unwrap());
        assert!(nowhere.is_err());
    }
}

//! Builds the book with mdBook's own library.

use crate::preprocessor::Preprocessor;
use anyhow::Context;
use mdbook_driver::config::Config;
use mdbook_driver::MDBook;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

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
/// pages has the old ones until all the new ones are there.
///
/// # Errors
///
/// Those of [`build`]; a link that cannot be made.
pub fn renew(root: &Path, link: &Path) -> anyhow::Result<()> {
    renew_by(link, |folder| build(root, folder))
}

fn renew_by(link: &Path, build: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let beside = link.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(beside).with_context(|| format!("make {}", beside.display()))?;
    // One at a time. The kernel lets go of the lock when its holder ends, however it ends.
    let lock = link.with_extension("lock");
    let lock = File::create(&lock).with_context(|| format!("make {}", lock.display()))?;
    lock.lock().context("wait for another build of the book")?;

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
    linked.with_context(|| format!("make the link {}", link.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_meanwhile_finds_the_old_pages() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("pages");
        let read = || fs::read_to_string(link.join("index.html")).unwrap();
        for turn in 0..5 {
            renew_by(&link, |folder| {
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
        let fill = |folder: &Path| Ok(fs::create_dir_all(folder.join("old"))?);
        renew_by(&link, fill).unwrap();
        let failed = renew_by(&link, |_| anyhow::bail!("no"));
        assert_eq!(failed.unwrap_err().to_string(), "no");
        assert!(link.join("old").is_dir());
        renew_by(&link, |folder| Ok(fs::create_dir_all(folder.join("new"))?)).unwrap();
        assert!(link.join("new").is_dir() && !link.join("old").exists());
    }
}

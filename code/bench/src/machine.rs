//! What the figures of a run depend on.

use crate::record::Machine;
use anyhow::{Context, Result};
use procfs::{CpuInfo, Current, LoadAverage, Meminfo};
use std::process::Command;
use std::time::SystemTime;

/// The load average from which on a machine is called busy.
const BUSY: f32 = 0.5;

/// Describes this machine, now, and says on stderr when it is busy. To be called
/// before the work begins, for that makes it busy too.
///
/// # Errors
///
/// A `/proc` that cannot be read; a `rustc` that cannot be run.
pub fn describe() -> Result<Machine> {
    let processors = CpuInfo::current().context("read /proc/cpuinfo")?;
    let model = processors.model_name(0).unwrap_or("unknown");
    let memory = Meminfo::current().context("read /proc/meminfo")?;
    let release = procfs::sys::kernel::Version::current().context("read the kernel's version")?;
    let load = LoadAverage::current().context("read /proc/loadavg")?;
    if load.one > BUSY {
        crate::say(&format!(
            "the machine is busy (load average {}): its other work will be in the figures",
            load.one
        ));
    }
    Ok(Machine {
        cpu: model.to_string(),
        cores: cores()?,
        memory_mib: memory.mem_total / (1024 * 1024),
        load_before: load.one,
        kernel: format!(
            "Linux {}.{}.{}",
            release.major, release.minor, release.patch
        ),
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        rustc: first_line("rustc", ["--version"])?,
    })
}

/// Cores that this process may use.
///
/// # Errors
///
/// When the system does not say.
pub fn cores() -> Result<usize> {
    let cores = std::thread::available_parallelism().context("count the cores")?;
    Ok(cores.get())
}

/// The first line that a command prints, on its output or else as an error.
///
/// # Errors
///
/// A command that cannot be run.
pub fn first_line<I: AsRef<std::ffi::OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = I>,
) -> Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("run {program}"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().next().unwrap_or_default().trim().to_string())
}

/// Whether a command of that name stands on the `PATH`.
pub fn has_tool(name: &str) -> bool {
    use nix::unistd::{access, AccessFlags};
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .any(|file| file.is_file() && access(&file, AccessFlags::X_OK).is_ok())
}

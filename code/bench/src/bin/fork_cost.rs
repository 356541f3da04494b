//! fork_cost: what a fork costs as the parent's memory grows.
//!
//!     cargo run --release -p bench --bin fork_cost -- [--json FILE]
//!
//! It touches 0, 100 and 1,000 MB in turn, several rounds, and times fork in the
//! parent, `_exit` in the child and waitpid in the parent as one. The kernel copies
//! no memory, but it copies the tables that say where the memory is: watch the time
//! grow with them. `--huge` asks for huge pages, whose tables are 512 times smaller.

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    match linux::run() {
        Ok(()) => return std::process::ExitCode::SUCCESS,
        Err(error) => bench::say(&format!("fork_cost: {error:#}")),
    }
    #[cfg(not(target_os = "linux"))]
    bench::say("fork_cost: it reads /proc, which only Linux has; run it there");
    std::process::ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
mod linux {
    use anyhow::{ensure, Context, Result};
    use bench::machine;
    use bench::record::{check_writable, ForkCost, ForkSize, Record, Spread};
    use clap::Parser;
    use nix::libc;
    use nix::sys::mman::{madvise, mmap_anonymous, munmap, MapFlags, MmapAdvise, ProtFlags};
    use nix::sys::wait::{waitpid, WaitStatus};
    use nix::unistd::{fork, ForkResult};
    use procfs::{Current, Meminfo};
    use std::ffi::c_void;
    use std::io::Write;
    use std::num::NonZeroUsize;
    use std::path::PathBuf;
    use std::ptr::NonNull;
    use std::time::Instant;

    const MEGABYTE: usize = 1_000_000;

    /// Memory is touched once in each of these, the smallest page there is.
    const PAGE: usize = 4096;

    /// Measures what a fork costs as the parent's memory grows
    #[derive(Parser)]
    #[command(name = "fork_cost", version)]
    struct Options {
        /// Sizes in megabytes, from the smallest on
        #[arg(long, value_delimiter = ',', default_values_t = [0, 100, 1000])]
        megabytes: Vec<u64>,
        /// How often each size has its turn
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
        rounds: u64,
        /// Forks in a turn
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
        forks: u64,
        /// Huge pages instead of pages of 4 KiB
        #[arg(long)]
        huge: bool,
        /// Write the run to this file
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    }

    pub fn run() -> Result<()> {
        let options = Options::parse();
        check_memory(&options)?;
        if let Some(file) = &options.json {
            check_writable(file)?;
        }
        let machine = machine::describe()?;
        let mut medians = vec![Vec::new(); options.megabytes.len()];
        let mut resident = vec![0; options.megabytes.len()];
        for _ in 0..options.rounds {
            for (place, megabytes) in options.megabytes.iter().enumerate() {
                let memory = Memory::touch(*megabytes, options.huge)?;
                time_fork()?; // the first after the touching is not like the others
                let times = (0..options.forks).map(|_| time_fork());
                let times = times.collect::<Result<Vec<f64>>>()?;
                medians[place].push(Spread::of(times).context("no forks")?.median);
                resident[place] = resident_megabytes()?;
                drop(memory);
            }
        }

        let mut sizes = Vec::new();
        for ((megabytes, resident), medians) in options.megabytes.iter().zip(resident).zip(medians)
        {
            sizes.push(ForkSize {
                megabytes: *megabytes,
                resident_megabytes: resident,
                forks: options.forks,
                microseconds: Spread::of(medians).context("no rounds")?,
            });
        }
        let pages = if options.huge { "huge" } else { "4 KiB" };
        // Nobody may read it any more: the record counts.
        let mut terminal = std::io::stdout();
        let rounds = options.rounds;
        let _ = writeln!(terminal, "pages: {pages}; medians of {rounds} rounds");
        let _ = writeln!(
            terminal,
            "{:>10}  {:>12}  {:>9}  {:>17}",
            "touched MB", "resident MB", "median us", "min - max"
        );
        for size in &sizes {
            let time = size.microseconds;
            let _ = writeln!(
                terminal,
                "{:>10}  {:>12}  {:>9.0}  {:>17}",
                size.megabytes,
                size.resident_megabytes,
                time.median,
                format!("{:.0} - {:.0}", time.min, time.max)
            );
        }
        if let Some(file) = &options.json {
            let run = ForkCost {
                machine,
                pages: pages.to_string(),
                rounds: options.rounds,
                sizes,
            };
            Record::ForkCost(run).write(file)?;
        }
        Ok(())
    }

    /// Too large a size would end this process, or another, without a word.
    fn check_memory(options: &Options) -> Result<()> {
        let memory = Meminfo::current().context("read /proc/meminfo")?;
        let free = memory.mem_available.unwrap_or(memory.mem_free) / MEGABYTE as u64;
        let most = options.megabytes.iter().max().copied().unwrap_or(0);
        ensure!(
            most < free / 10 * 9,
            "touch {most} MB: only {free} MB are free; ask for less with --megabytes"
        );
        Ok(())
    }

    fn resident_megabytes() -> Result<u64> {
        let process = procfs::process::Process::myself().context("read /proc/self")?;
        let pages = process.statm().context("read /proc/self/statm")?.resident;
        Ok(pages * procfs::page_size() / MEGABYTE as u64)
    }

    /// Private memory of this process, each page of it written to.
    struct Memory(Option<(NonNull<c_void>, usize)>);

    impl Memory {
        fn touch(megabytes: u64, huge: bool) -> Result<Memory> {
            let Some(length) = NonZeroUsize::new(megabytes as usize * MEGABYTE) else {
                return Ok(Memory(None));
            };
            let what = || format!("touch {megabytes} MB");
            let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
            // SAFETY: a new anonymous mapping at a place of the kernel's choice,
            // which overlaps nothing that is in use.
            let start = unsafe { mmap_anonymous(None, length, protection, MapFlags::MAP_PRIVATE) };
            let start = start.with_context(what)?;
            let memory = Memory(Some((start, length.get())));
            let advice = match huge {
                true => MmapAdvise::MADV_HUGEPAGE,
                false => MmapAdvise::MADV_NOHUGEPAGE,
            };
            // SAFETY: the range is the mapping made above; the advice changes the
            // size of its pages and none of its contents.
            unsafe { madvise(start, length.get(), advice) }.with_context(what)?;
            for offset in (0..length.get()).step_by(PAGE) {
                // SAFETY: offset is less than the length of the mapping, which
                // may be written and which nothing else refers to.
                unsafe { start.cast::<u8>().add(offset).write_volatile(1) };
            }
            Ok(memory)
        }
    }

    impl Drop for Memory {
        fn drop(&mut self) {
            if let Some((start, length)) = self.0 {
                // SAFETY: the mapping that `touch` made, whole, with no pointer
                // into it left.
                let _ = unsafe { munmap(start, length) };
            }
        }
    }

    /// Microseconds from fork until the child has been waited for.
    fn time_fork() -> Result<f64> {
        let start = Instant::now();
        // SAFETY: this process has one thread, and the child calls _exit alone.
        match unsafe { fork() }.context("fork")? {
            // SAFETY: _exit ends the child at once and touches no memory of it.
            ForkResult::Child => unsafe { libc::_exit(0) },
            ForkResult::Parent { child } => {
                let end = waitpid(child, None).context("wait for the child")?;
                let time = start.elapsed();
                ensure!(
                    matches!(end, WaitStatus::Exited(_, 0)),
                    "the child ended with {end:?}"
                );
                Ok(time.as_secs_f64() * 1e6)
            }
        }
    }
}

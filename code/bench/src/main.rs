//! bench: measures servers in turn, on this machine, and says how they compare.
//!
//!     cargo run --release -p bench -- [--servers A,B] [--json FILE]
//!
//! The servers are the rows of code/bench/servers.toml. The load comes from ab
//! (Debian: apache2-utils), or from wrk for rows that keep connections alive.
//! Leave the machine alone while it runs, and look at the spread before you
//! believe a ratio. The library's page says what the figures mean.

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    match linux::run() {
        Ok(code) => return code,
        Err(error) => bench::say(&format!("bench: {error:#}")),
    }
    #[cfg(not(target_os = "linux"))]
    bench::say("bench: it reads /proc, which only Linux has; run it there");
    std::process::ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
mod linux {
    use anyhow::{bail, ensure, Context, Result};
    use bench::load::Load;
    use bench::processes::{end_together, Group};
    use bench::record::{
        self, grouped, rounded, Comparison, Machine, Measured, Record, Round, Spread, Throughput,
        Tool,
    };
    use bench::table::{self, Row};
    use bench::{answer, machine};
    use clap::Parser;
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::io::Write;
    use std::net::{SocketAddr, TcpListener};
    use std::path::{Path, PathBuf};
    use std::process::{Command, ExitCode, Stdio};
    use std::thread;
    use std::time::{Duration, Instant};

    /// Measures servers in turn, and says how they compare
    #[derive(Parser)]
    #[command(name = "bench", version, args_override_self = true)]
    struct Options {
        /// Measure these rows, in this order [default: all of the table]
        #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
        servers: Vec<String>,
        /// Give ratios to this row [default: the first]
        #[arg(long, value_name = "NAME")]
        baseline: Option<String>,
        /// Give the ratio of two rows round by round; may be repeated
        #[arg(long, value_name = "A/B")]
        compare: Vec<String>,
        /// Rounds: how often each server has its turn
        #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
        rounds: u64,
        /// Seconds of load in a turn
        #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=600))]
        seconds: u64,
        /// End a turn early, after this many answers (where ab makes the load)
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
        answers: Option<u64>,
        /// Seconds of load on each server beforehand; 0 for none
        #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=600))]
        warm_up: u64,
        /// Connections open at a time, over all load processes
        #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
        connections: u64,
        /// Write the run to this file, as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Leave out servers whose tools are missing; that is no failure then
        #[arg(long)]
        available: bool,
        /// Take the rows from this table [default: code/bench/servers.toml]
        #[arg(long, value_name = "FILE")]
        table: Option<PathBuf>,
    }

    pub fn run() -> Result<ExitCode> {
        let options = Options::parse();
        let root = bench::root();
        let file = options.table.clone();
        let rows = table::load(&file.unwrap_or_else(|| root.join(table::TABLE)))?;
        let rows = table::choose(rows, &options.servers)?;
        check_names(&options, &rows)?;
        if let Some(file) = &options.json {
            record::check_writable(file)?;
        }
        end_together()?;

        let (rows, left_out) = present(rows, &options)?;
        for line in &left_out {
            bench::say(line);
        }
        ensure!(!rows.is_empty(), "no server is left to measure");
        let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let baseline = options.baseline.as_ref().unwrap_or(&rows[0].name).clone();
        ensure!(
            names.contains(baseline.as_str()),
            "the baseline {baseline} is left out; choose another with --baseline"
        );

        let machine = machine::describe()?;
        for row in &rows {
            build(row, &root)?;
        }
        let mut servers = Vec::new();
        for row in rows {
            servers.push(Server::start(row, &root)?);
        }
        let rounds = measure(&servers, &options)?;
        let run = report(machine, &servers, rounds, &baseline, &options)?;
        drop(servers);

        let _ = print(&run);
        if let Some(file) = &options.json {
            Record::Throughput(run).write(file)?;
        }
        if !left_out.is_empty() && !options.available {
            bail!("{} (or ask with --available)", left_out.join("; "));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// A mistyped name is found before the first minute is spent.
    fn check_names(options: &Options, rows: &[Row]) -> Result<()> {
        let known = |name: &str| rows.iter().any(|row| row.name == name);
        if let Some(name) = &options.baseline {
            ensure!(known(name), "the baseline {name} is not measured");
        }
        for pair in &options.compare {
            let (of, to) = pair_of(pair)?;
            for name in [of, to] {
                ensure!(known(name), "--compare {pair}: {name} is not measured");
            }
        }
        Ok(())
    }

    fn pair_of(pair: &str) -> Result<(&str, &str)> {
        let names = pair.split_once('/');
        names.with_context(|| format!("--compare {pair}: two names with a slash between them"))
    }

    /// The rows that this machine can run, and a line for each of the others.
    fn present(rows: Vec<Row>, options: &Options) -> Result<(Vec<Row>, Vec<String>)> {
        let (mut here, mut left_out) = (Vec::new(), Vec::new());
        for row in rows {
            // Nothing at all can be measured without the tool: no row to leave out.
            if let Some(tool) = load(&row, options.seconds, options)?.missing() {
                bail!("the load comes from {tool}");
            }
            match missing(&row) {
                None => here.push(row),
                Some(what) => {
                    let hint = row.install.as_ref();
                    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                    left_out.push(format!("left out: {}: no {what}{hint}", row.name));
                }
            }
        }
        Ok((here, left_out))
    }

    fn missing(row: &Row) -> Option<String> {
        let absent = |need: &&String| match need.contains('/') {
            true => !bench::root().join(need).exists(),
            false => !machine::has_tool(need),
        };
        if let Some(need) = row.needs.iter().find(absent) {
            return Some(need.clone());
        }
        let absent = |module: &&String| {
            let mut python = Command::new("python3");
            python.args(["-c", &format!("import {module}")]);
            python
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            !python.status().is_ok_and(|status| status.success())
        };
        let module = row.modules.iter().find(absent)?;
        Some(format!("Python module {module}"))
    }

    fn load(row: &Row, seconds: u64, options: &Options) -> Result<Load> {
        Ok(Load {
            connection: row.connection,
            seconds,
            answers: options.answers,
            connections: options.connections as usize,
            cores: machine::cores()?,
        })
    }

    fn build(row: &Row, root: &Path) -> Result<()> {
        let Some(line) = &row.build else {
            return Ok(());
        };
        bench::say(&format!("build {}: {line}", row.name));
        let target = root.join("target");
        let folder = target.join("bench");
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let words = table::words(line, root, "")?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(root);
        // The table says target/release, wherever the reader's cargo builds.
        command.env("CARGO_TARGET_DIR", &target);
        command.env_remove("CARGO_BUILD_TARGET");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let group = Group::spawn(&mut command, line)?;
        group
            .finish(Duration::from_secs(1800))
            .with_context(|| format!("build {}", row.name))
    }

    struct Server {
        row: Row,
        address: SocketAddr,
        group: Group,
    }

    impl Server {
        /// Starts it, and waits for its first right answer.
        fn start(row: Row, root: &Path) -> Result<Server> {
            let address = free_address()?;
            let words = table::words(&row.command, root, &address.to_string())?;
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).envs(&row.env);
            command.current_dir(root.join(row.cwd.as_deref().unwrap_or(Path::new("."))));
            command.stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let group = Group::spawn_session(&mut command, &row.name)?;
            let server = Server {
                row,
                address,
                group,
            };
            server.wait_until_ready()?;
            Ok(server)
        }

        fn wait_until_ready(&self) -> Result<()> {
            let limit = Duration::from_secs(self.row.ready_within);
            let start = Instant::now();
            while std::net::TcpStream::connect(self.address).is_err() {
                self.must_run()?;
                ensure!(
                    start.elapsed() < limit,
                    "{} does not listen on {} within {limit:?}",
                    self.row.name,
                    self.address
                );
                thread::sleep(Duration::from_millis(10));
            }
            answer::check(self.address, &self.row)?;
            self.must_run()
        }

        /// A server that has ended cannot have answered.
        fn must_run(&self) -> Result<()> {
            match self.group.ended() {
                None => Ok(()),
                Some(end) => bail!(
                    "{} has ended ({end}); start it by hand and see why: {}",
                    self.row.name,
                    self.row.command
                ),
            }
        }

        fn round(&self, load: &Load) -> Result<Round> {
            let before = self.group.processor_seconds()?;
            let seen = load.run(&self.address.to_string(), &self.row.path);
            let seen = seen.with_context(|| format!("load {}", self.row.name))?;
            let used = self.group.processor_seconds()? - before;
            self.must_run()?;
            ensure!(
                seen.answers > 0,
                "{} gave no right answer in {} s, and {} errors",
                self.row.name,
                load.seconds,
                seen.errors
            );
            Ok(Round {
                rate: rounded(seen.rate),
                answers: seen.answers,
                errors: seen.errors,
                server_cpu_us: rounded(used * 1e6 / seen.answers as f64),
            })
        }
    }

    /// A port that was free a moment ago.
    fn free_address() -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
        Ok(listener.local_addr()?)
    }

    /// The rounds of each server, in the servers' order.
    fn measure(servers: &[Server], options: &Options) -> Result<Vec<Vec<Round>>> {
        for server in servers.iter().filter(|_| options.warm_up > 0) {
            bench::say(&format!("warm up {}", server.row.name));
            server.round(&load(&server.row, options.warm_up, options)?)?;
        }
        let mut rounds = vec![Vec::new(); servers.len()];
        for number in 1..=options.rounds {
            for (server, rounds) in servers.iter().zip(&mut rounds) {
                let round = server.round(&load(&server.row, options.seconds, options)?)?;
                bench::say(&format!(
                    "round {number} of {}: {}: {} answers a second, {} errors",
                    options.rounds,
                    server.row.name,
                    grouped(round.rate),
                    round.errors
                ));
                rounds.push(round);
            }
        }
        // Under load it might have begun to answer something else.
        for server in servers {
            answer::check(server.address, &server.row).context("after the last round")?;
        }
        Ok(rounds)
    }

    fn report(
        machine: Machine,
        servers: &[Server],
        rounds: Vec<Vec<Round>>,
        baseline: &str,
        options: &Options,
    ) -> Result<Throughput> {
        let root = bench::root();
        let mut tools = BTreeMap::new();
        let mut measured = Vec::new();
        for (server, rounds) in servers.iter().zip(rounds) {
            let row = &server.row;
            let load = load(row, options.seconds, options)?;
            let tool = Tool {
                version: load.version()?,
                command: load.commands("{address}", "{path}"),
                processes: load.processes(),
            };
            tools.insert(load.tool().to_string(), tool);
            let version = row.version.as_ref().map(|line| {
                let words = table::words(line, &root, "")?;
                machine::first_line(&words[0], &words[1..])
            });
            let spread = |figure: fn(&Round) -> f64| {
                Spread::of(rounds.iter().map(figure)).context("no rounds")
            };
            measured.push(Measured {
                name: row.name.clone(),
                what: row.what.clone(),
                command: row.command.clone(),
                version: version.transpose()?,
                connection: row.connection.name().to_string(),
                tool: load.tool().to_string(),
                rate: spread(|round| round.rate)?,
                server_cpu_us: spread(|round| round.server_cpu_us)?,
                errors: rounds.iter().map(|round| round.errors).sum(),
                ratio: 0.0,
                rounds,
            });
        }

        let find = |name: &str| {
            let found = measured.iter().find(|server| server.name == name);
            found.with_context(|| format!("{name} is left out"))
        };
        let to = find(baseline)?.rate.median;
        let mut comparisons = Vec::new();
        for pair in &options.compare {
            let (of, to) = pair_of(pair)?;
            let context = || format!("--compare {pair}");
            let a = find(of).with_context(context)?;
            let b = find(to).with_context(context)?;
            let rounds = a.rounds.iter().zip(&b.rounds);
            let ratio = Spread::of(rounds.map(|(a, b)| a.rate / b.rate)).context("no rounds")?;
            comparisons.push(Comparison {
                of: of.to_string(),
                to: to.to_string(),
                ratio,
            });
        }
        for server in &mut measured {
            server.ratio = rounded(server.rate.median / to);
        }
        Ok(Throughput {
            machine,
            seconds: options.seconds,
            warm_up_seconds: options.warm_up,
            connections: options.connections as usize,
            tools,
            baseline: baseline.to_string(),
            servers: measured,
            comparisons,
        })
    }

    /// The table that the reader sees. Nobody may read it any more: the record counts.
    fn print(run: &Throughput) -> std::io::Result<()> {
        let mut terminal = std::io::stdout();
        let machine = &run.machine;
        writeln!(
            terminal,
            "\n{}, {} cores, {} MiB, {}, {}, {}",
            machine.cpu,
            machine.cores,
            machine.memory_mib,
            machine.kernel,
            machine.rustc,
            machine.date
        )?;
        for tool in run.tools.values() {
            writeln!(
                terminal,
                "{} x `{}` ({})",
                tool.processes, tool.command, tool.version
            )?;
        }
        let width = run.servers.iter().map(|server| server.name.len()).max();
        let width = width.unwrap_or(0).max("server".len());
        let ratio = format!("to {}", run.baseline);
        writeln!(
            terminal,
            "\n{:width$}  {:>9}  {:>17}  {:>6}  {:>9}  {:>10}  {ratio}",
            "server", "answers/s", "min - max", "errors", "server us", "connection"
        )?;
        for server in &run.servers {
            let spread = format!(
                "{} - {}",
                grouped(server.rate.min),
                grouped(server.rate.max)
            );
            writeln!(
                terminal,
                "{:width$}  {:>9}  {spread:>17}  {:>6}  {:>9.1}  {:>10}  {:.2}",
                server.name,
                grouped(server.rate.median),
                server.errors,
                server.server_cpu_us.median,
                server.connection,
                server.ratio
            )?;
        }
        for pair in &run.comparisons {
            writeln!(
                terminal,
                "\n{}/{}: {:.2} (rounds {:.2} - {:.2})",
                pair.of, pair.to, pair.ratio.median, pair.ratio.min, pair.ratio.max
            )?;
        }
        if run.tools.len() > 1 {
            writeln!(
                terminal,
                "\nrates of close and of keep-alive come from different tools"
            )?;
        }
        Ok(())
    }
}

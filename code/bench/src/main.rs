//! bench: measures servers in turn, on this machine, and says how they compare.
//!
//!     cargo run --release -p bench -- [--servers A,B] [--json FILE]
//!
//! The servers are the rows of code/bench/servers.toml. The load comes from ab
//! (Debian: apache2-utils), or from wrk for rows that keep connections alive, or at a
//! fixed rate from the bench itself.
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
        self, grouped, rounded, Comparison, Machine, Measured, Record, Round, Silent, Spread,
        Throughput, Tool,
    };
    use bench::steady::{self, Sample};
    use bench::table::{self, Connection, Row};
    use bench::{answer, machine, silent};
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
        /// End a turn early, after this many answers (wrk cannot)
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
        answers: Option<u64>,
        /// Seconds of load on each server beforehand; 0 for none
        #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=600))]
        warm_up: u64,
        /// Connections open at a time, over all load processes
        #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
        connections: u64,
        /// Ask all so: close, keep-alive or pipelined [default: as rows say]
        #[arg(long, value_name = "KIND", hide_possible_values = true)]
        connection: Option<Connection>,
        /// Ask N times a second, and tell how long the answers took
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        rate: Option<u64>,
        /// First hold N clients that say nothing, and tell what they cost
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=25_000))]
        silent: Option<u64>,
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
        let mut rows = table::choose(rows, &options.servers)?;
        if let Some(connection) = options.connection {
            rows = table::ask(rows, connection, &options.servers)?;
        }
        if options.rate.is_some() {
            let batch = rows
                .iter()
                .find(|row| row.connection == Connection::Pipelined);
            ensure!(
                batch.is_none(),
                "--rate sends one request at a time: it cannot be pipelined"
            );
        }
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
        if options.silent.is_some() {
            silent::raise_limit()?;
        }
        let mut servers = Vec::new();
        for row in rows {
            servers.push(Server::start(row, &root)?);
        }
        if let Some(clients) = options.silent {
            for server in &mut servers {
                bench::say(&format!("hold silent clients: {}", server.row.name));
                let held = silent::hold(server.address, &server.row, &server.group, clients);
                server.silent = Some(held.with_context(|| server.row.name.clone())?);
            }
        }
        let turns = measure(&servers, &options)?;
        let run = report(machine, &servers, turns, &baseline, &options)?;
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
            rate: options.rate,
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
        silent: Option<Silent>,
    }

    impl Server {
        /// Starts it, and waits for its first right answer.
        fn start(row: Row, root: &Path) -> Result<Server> {
            let address = free_address()?;
            let mut words = table::words(&row.command, root, &address.to_string())?;
            let mut config = None;
            if let Some(file) = &row.config {
                let copy = fill_in(file, root, &row.name, &address.to_string())?;
                for word in &mut words {
                    *word = word.replace("{config}", &copy.to_string_lossy());
                }
                config = Some(copy);
            }
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
                silent: None,
            };
            let ready = server.wait_until_ready();
            if let Some(copy) = config {
                let _ = fs::remove_file(copy); // it has been read
            }
            ready?;
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

        fn round(&self, load: &Load) -> Result<(Round, Vec<Sample>)> {
            let before = self.group.processor_time()?;
            let seen = load.run(self.address, &self.row);
            let (seen, samples) = seen.with_context(|| format!("load {}", self.row.name))?;
            let after = self.group.processor_time()?;
            self.must_run()?;
            ensure!(
                seen.answers > 0,
                "{} gave no right answer in {} s, and {} errors",
                self.row.name,
                load.seconds,
                seen.errors
            );
            let [user, system, both] = after.for_each(before, seen.answers);
            let round = Round {
                rate: rounded(seen.rate),
                answers: seen.answers,
                errors: seen.errors,
                server_cpu_us: both,
                server_user_us: Some(user),
                server_system_us: Some(system),
            };
            Ok((round, samples))
        }
    }

    /// A port that was free a moment ago.
    fn free_address() -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
        Ok(listener.local_addr()?)
    }

    /// A copy of the file with the address in it, in target/bench.
    fn fill_in(file: &Path, root: &Path, name: &str, address: &str) -> Result<PathBuf> {
        let from = root.join(file);
        let text = fs::read_to_string(&from).with_context(|| format!("read {}", from.display()))?;
        let text = text
            .replace("{address}", address)
            .replace("{root}", &root.to_string_lossy());
        let folder = root.join("target/bench");
        let copy = folder.join(format!("{name}-{}", std::process::id()));
        let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&copy, text));
        written.with_context(|| format!("write {}", copy.display()))?;
        Ok(copy)
    }

    /// The rounds of each server, in the servers' order, and the latencies of a fixed rate.
    fn measure(servers: &[Server], options: &Options) -> Result<Vec<Turns>> {
        for server in servers.iter().filter(|_| options.warm_up > 0) {
            bench::say(&format!("warm up {}", server.row.name));
            server.round(&load(&server.row, options.warm_up, options)?)?;
        }
        let mut turns = vec![Turns::default(); servers.len()];
        for number in 1..=options.rounds {
            for (server, turns) in servers.iter().zip(&mut turns) {
                let (round, samples) =
                    server.round(&load(&server.row, options.seconds, options)?)?;
                bench::say(&format!(
                    "round {number} of {}: {}: {} answers a second, {} errors",
                    options.rounds,
                    server.row.name,
                    grouped(round.rate),
                    round.errors
                ));
                turns.rounds.push(round);
                turns.samples.extend(samples);
            }
        }
        // Under load it might have begun to answer something else.
        for server in servers {
            answer::check(server.address, &server.row).context("after the last round")?;
        }
        Ok(turns)
    }

    /// What a server did in its turns.
    #[derive(Clone, Default)]
    struct Turns {
        rounds: Vec<Round>,
        samples: Vec<Sample>,
    }

    fn report(
        machine: Machine,
        servers: &[Server],
        turns: Vec<Turns>,
        baseline: &str,
        options: &Options,
    ) -> Result<Throughput> {
        let root = bench::root();
        let mut tools = BTreeMap::new();
        let mut measured = Vec::new();
        for (server, Turns { rounds, samples }) in servers.iter().zip(turns) {
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
                server_user_us: Spread::of(rounds.iter().filter_map(|round| round.server_user_us)),
                server_system_us: Spread::of(
                    rounds.iter().filter_map(|round| round.server_system_us),
                ),
                errors: rounds.iter().map(|round| round.errors).sum(),
                ratio: 0.0,
                silent: server.silent.clone(),
                latency: options
                    .rate
                    .and_then(|rate| steady::summary(rate, &samples)),
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
            answers: options.answers,
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
            "\n{:width$}  {:>9}  {:>17}  {:>6}  {:>9}  {:>15}  {:>10}  {ratio}",
            "server",
            "answers/s",
            "min - max",
            "errors",
            "server us",
            "user + system",
            "connection"
        )?;
        for server in &run.servers {
            let spread = format!(
                "{} - {}",
                grouped(server.rate.min),
                grouped(server.rate.max)
            );
            let median = |figure: Option<Spread>| figure.map_or(0.0, |spread| spread.median);
            let parts = format!(
                "{:.1} + {:.1}",
                median(server.server_user_us),
                median(server.server_system_us)
            );
            writeln!(
                terminal,
                "{:width$}  {:>9}  {spread:>17}  {:>6}  {:>9.1}  {parts:>15}  {:>10}  {:.2}",
                server.name,
                grouped(server.rate.median),
                server.errors,
                server.server_cpu_us.median,
                server.connection,
                server.ratio
            )?;
        }
        print_silent(&mut terminal, run, width)?;
        print_latency(&mut terminal, run, width)?;
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

    fn print_silent(to: &mut impl Write, run: &Throughput, width: usize) -> std::io::Result<()> {
        if run.servers.iter().all(|server| server.silent.is_none()) {
            return Ok(());
        }
        let width = width.max("silent clients".len());
        writeln!(
            to,
            "\n{:width$}  {:>13}  {:>9}  {:>8}  {:>12}  {:>10}  {:>9}",
            "silent clients",
            "accepted",
            "processes",
            "threads",
            "bytes each",
            "us alone",
            "us beside"
        )?;
        for server in &run.servers {
            let Some(silent) = &server.silent else {
                continue;
            };
            let or_none = |figure: Option<f64>| figure.map_or("-".to_string(), grouped);
            writeln!(
                to,
                "{:width$}  {:>13}  {:>9}  {:>8}  {:>12}  {:>10.0}  {:>9}",
                server.name,
                format!("{} of {}", silent.accepted, silent.clients),
                silent.processes,
                silent.threads,
                or_none(silent.bytes_each),
                silent.alone_us,
                or_none(silent.beside_us)
            )?;
        }
        Ok(())
    }

    fn print_latency(to: &mut impl Write, run: &Throughput, width: usize) -> std::io::Result<()> {
        for (what, from_due) in [
            ("from when it was due", true),
            ("from when it was sent", false),
        ] {
            let mut head = true;
            for server in &run.servers {
                let Some(latency) = &server.latency else {
                    continue;
                };
                if std::mem::take(&mut head) {
                    writeln!(
                        to,
                        "\n{:width$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  us, {what}, {} a second",
                        "server", "50 %", "90 %", "99 %", "99.9 %", "most", latency.rate
                    )?;
                }
                let of = if from_due {
                    latency.from_due
                } else {
                    latency.from_sent
                };
                writeln!(
                    to,
                    "{:width$}  {:>9.0}  {:>9.0}  {:>9.0}  {:>9.0}  {:>9.0}",
                    server.name, of.p50_us, of.p90_us, of.p99_us, of.p999_us, of.max_us
                )?;
            }
        }
        Ok(())
    }
}

//! The bench: what it measures, what it refuses, and what it leaves behind.

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use tests::programs::{cargo, course, executable};
use tests::python::found_at_once;
use tests::server::{end_with_parent, run_to_end};
use tests::{has_tool, left_out, wait_for};

const HELLO: &str = "Hello, World!\n";

/// More answers than there is time for: the turns last for their seconds.
const WHOLE_SECONDS: &str = "--answers=10000000";

/// The programs of the package, built once.
static PROGRAMS: LazyLock<BTreeMap<String, PathBuf>> = LazyLock::new(|| {
    let mut cargo = cargo();
    let format = "--message-format=json-render-diagnostics";
    // Of the whole workspace: with `-p bench`, what it shares with the others would be
    // compiled once more, with other features.
    cargo.args(["build", "--quiet", "--locked", "--workspace", format]);
    cargo.args(["--bin", "bench", "--bin", "figure", "--bin", "fork_cost"]);
    let output = cargo.output().expect("cargo can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "build the bench: {errors}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_string();
            Some((name, PathBuf::from(message["executable"].as_str()?)))
        })
        .collect()
});

fn program(name: &str) -> Command {
    Command::new(&PROGRAMS[name])
}

/// A folder for one test, whose name stands in the command line of all that the
/// bench starts there: of the servers, which are copies in it, and of the load
/// tools, which ask for it.
struct Place {
    mark: String,
    folder: PathBuf,
    table: String,
}

impl Place {
    fn new(test: &str) -> Place {
        let mark = format!("bench-{test}-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&mark);
        fs::create_dir_all(&folder).unwrap();
        Place {
            mark,
            folder,
            table: String::new(),
        }
    }

    /// A program of the course, as a file of this place.
    fn copy(&self, server: &str) -> PathBuf {
        let copy = self.folder.join(server);
        if !copy.exists() {
            // Nothing is written: what this process had open for writing could not be
            // executed while another thread starts a program (ETXTBSY).
            fs::hard_link(executable(server), &copy).unwrap();
        }
        copy
    }

    /// A row for a program of the course, with what else it shall say.
    fn row(&mut self, name: &str, server: &str, more: &str) {
        let copy = self.copy(server);
        // The repository's own path may hold blanks.
        let copy = match copy.strip_prefix(book::root()) {
            Ok(inside) => inside.to_path_buf(),
            Err(_) => copy,
        };
        self.rows(&format!(
            "[[server]]\nname = {name:?}\nwhat = {server:?}\npath = \"/{}\"\n\
             command = \"{} {{address}}\"\n{more}\n",
            self.mark,
            copy.display()
        ));
    }

    fn hello(&mut self, name: &str, server: &str) {
        self.row(name, server, &format!("body = {HELLO:?}"));
    }

    /// A row for `webserver1` with a child that stays: another `webserver1`.
    fn family(&mut self, name: &str) {
        let server = self.copy("webserver1");
        let server = server.display();
        let text = format!("'{server}' 127.0.0.1:0 &\nexec '{server}' \"$1\"\n");
        fs::write(self.folder.join("family.sh"), text).unwrap();
        self.rows(&format!(
            "[[server]]\nname = {name:?}\nwhat = \"a family\"\npath = \"/{}\"\n\
             body = {HELLO:?}\ncwd = {:?}\ncommand = \"sh family.sh {{address}}\"\n",
            self.mark, self.folder
        ));
    }

    /// A row for a server in Python, with what else it shall say.
    fn python(&mut self, name: &str, text: &str, more: &str) {
        let file = format!("{name}.py");
        fs::write(self.folder.join(&file), text).unwrap();
        self.rows(&format!(
            "[[server]]\nname = {name:?}\nwhat = \"Python's\"\npath = \"/{}\"\nbody = {HELLO:?}\n\
             cwd = {:?}\ncommand = \"python3 {file} {{address}}\"\n{more}\n",
            self.mark, self.folder
        ));
    }

    fn rows(&mut self, rows: &str) {
        self.table.push_str(rows);
    }

    fn bench(&self, arguments: &[&str]) -> Command {
        let table = self.folder.join("servers.toml");
        fs::write(&table, &self.table).unwrap();
        let mut bench = program("bench");
        bench.args(["--rounds=2", "--seconds=1", "--warm-up=0"]);
        // A hundred answers, to one client at a time: the other tests want a processor,
        // too.
        bench.arg("--answers=100");
        if !arguments
            .iter()
            .any(|word| word.starts_with("--connections"))
        {
            bench.arg("--connections=1");
        }
        bench.arg("--table").arg(table).args(arguments);
        found_at_once(&mut bench);
        bench
    }

    fn json(&self) -> PathBuf {
        self.folder.join("run.json")
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut bench = self.bench(arguments);
        bench.arg("--json").arg(self.json());
        let end = run_to_end(&mut beside_others(&bench));
        assert_eq!(self.processes(), Vec::<String>::new(), "processes left");
        end
    }

    fn record(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.json()).unwrap()).unwrap()
    }

    /// The command lines of what runs in this place.
    fn processes(&self) -> Vec<String> {
        self.numbered().into_values().collect()
    }

    /// The same by the numbers of the processes.
    fn numbered(&self) -> BTreeMap<i32, String> {
        let lines = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let folder = entry.ok()?.path();
            let number = folder.file_name()?.to_str()?.parse().ok()?;
            let line = fs::read(folder.join("cmdline")).ok()?;
            Some((number, String::from_utf8_lossy(&line).replace('\0', " ")))
        });
        lines
            .filter(|(_, line)| line.contains(&self.mark))
            .collect()
    }
}

/// A server in Python with the answer of `webserver1`, which comes 20 ms late: a
/// second of load is fifty of them.
const SLOW: &str = r#"
import contextlib, socket, sys, time
host, port = sys.argv[1].split(":")
listener = socket.create_server((host, int(port)))
while True:
    client, _ = listener.accept()
    with contextlib.suppress(OSError), client:
        client.recv(4096)
        time.sleep(0.02)
        client.sendall(b"HTTP/1.1 200 OK\n\nHello, World!\n")
"#;

/// The same, but each answer takes the server 5 ms of processor time, and a child of it
/// 5 ms more; then it rests.
const BUSY: &str = r#"
import contextlib, os, socket, sys, time
def work():
    end = time.process_time() + 0.005
    while time.process_time() < end:
        sum(range(5000))
host, port = sys.argv[1].split(":")
listener = socket.create_server((host, int(port)))
while True:
    client, _ = listener.accept()
    with contextlib.suppress(OSError), client:
        if client.recv(4096):
            work()
            child = os.fork()
            if child == 0:
                work()
                os._exit(0)
            os.waitpid(child, 0)
            time.sleep(0.1)
        client.sendall(b"HTTP/1.1 200 OK\n\nHello, World!\n")
"#;

/// What a failed test found left behind does not stay.
impl Drop for Place {
    fn drop(&mut self) {
        for number in self.numbered().into_keys() {
            let _ = kill(Pid::from_raw(number), Signal::SIGKILL);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The same command with a smaller share of the processor. Its load lasts for a fixed
/// time, and the more it gets of that, the longer all other tests take.
fn beside_others(command: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "5"]).arg(command.get_program());
    nice.args(command.get_args());
    nice
}

/// The bench cannot be tried without the tool that makes its load.
fn lacks(tool: &str, check: &str) -> bool {
    let lacks = !has_tool(tool);
    if lacks {
        left_out(check, tool);
    }
    lacks
}

/// A minute of measuring would be lost.
#[test]
fn a_record_that_cannot_be_written_is_found_first() {
    let mut place = Place::new("unwritable");
    place.hello("first", "webserver1");
    let file = place.folder.join("file");
    fs::write(&file, "").unwrap();
    let folder = place.folder.display();
    for record in [format!("{folder}/file/run.json"), folder.to_string()] {
        let (code, output, errors) = run_to_end(place.bench(&[]).arg("--json").arg(&record));
        assert_eq!((code, output.as_str()), (Some(1), ""), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        let (_, fork_cost, _) = run_to_end(program("fork_cost").args(["--json", &record]));
        assert_eq!(fork_cost, "", "it has measured first");
    }
    // One that can be written is not there before it is whole.
    let (_, _, errors) = place.run(&["--baseline=none"]);
    assert!(errors.contains("none is not measured"), "{errors}");
    assert!(!place.json().exists());
}

#[test]
fn every_program_says_how_it_is_used() {
    for name in ["bench", "fork_cost", "figure"] {
        for flag in ["--help", "-h", "--version", "-V"] {
            let (code, output, errors) = run_to_end(program(name).arg(flag));
            assert_eq!((code, errors.as_str()), (Some(0), ""), "{name} {flag}");
            let longest = output.lines().map(|line| line.chars().count()).max();
            assert!(longest <= Some(100), "{output}");
        }
        let (code, output, errors) = run_to_end(program(name).arg("--no-such-option"));
        assert_eq!((code, output.as_str()), (Some(2), ""), "{name}");
        assert!(errors.starts_with("error: "), "{errors}");
    }
}

/// Fifteen connections on two load processes are eight and seven.
#[test]
fn all_connections_are_opened() {
    if lacks("ab", "how the bench divides connections") {
        return;
    }
    let mut place = Place::new("connections");
    place.hello("first", "webserver1");
    let (code, _, errors) = place.run(&["--connections=15", "--rounds=1"]);
    assert_eq!(code, Some(0), "{errors}");
    let run = place.record();
    let tool = &run["tools"]["ab"];
    let commands = tool["command"].as_str().unwrap();
    let shares: Vec<u64> = commands
        .split(" -c ")
        .skip(1)
        .map(|rest| rest.split(' ').next().unwrap().parse().unwrap())
        .collect();
    let processes = tool["processes"].as_u64().unwrap();
    let (most, least) = (shares[0], *shares.last().unwrap());
    let larger = 15 - least * processes;
    assert_eq!(
        most * larger + least * (processes - larger),
        15,
        "{commands}"
    );
}

#[test]
fn servers_are_measured_in_turn() {
    if lacks("ab", "the bench measures two servers") {
        return;
    }
    let mut place = Place::new("turns");
    place.hello("first", "webserver1");
    place.family("second");
    let compare = ["--compare=second/first", "--baseline=second"];
    let (code, output, errors) = place.run(&[&compare[..], &["--warm-up=1"]].concat());
    assert_eq!(code, Some(0), "{errors}");
    let warmed = errors.lines().filter(|line| line.starts_with("warm up "));
    assert_eq!(
        warmed.collect::<Vec<_>>(),
        ["warm up first", "warm up second"]
    );

    let turns: Vec<&str> = errors
        .lines()
        .filter(|line| line.starts_with("round"))
        .map(|line| line.split(": ").nth(1).unwrap())
        .collect();
    assert_eq!(turns, ["first", "second", "first", "second"]);

    let run = place.record();
    assert_eq!(run["kind"], "throughput");
    assert_eq!(run["baseline"], "second");
    assert_eq!(run["seconds"], 1);
    for field in ["cpu", "kernel", "date", "rustc"] {
        let text = run["machine"][field].as_str().unwrap();
        assert!(!text.is_empty(), "the machine has no {field}");
    }
    assert!(run["machine"]["cores"].as_u64().unwrap() > 0);
    let tool = run["tools"]["ab"]["version"].as_str().unwrap();
    assert!(tool.contains("ApacheBench"), "{tool}");

    let figure = |value: &Value| value.as_f64().unwrap();
    let servers = run["servers"].as_array().unwrap();
    assert_eq!(servers.len(), 2);
    for server in servers {
        let name = server["name"].as_str().unwrap();
        assert!(output.contains(name), "{output}");
        let rounds = server["rounds"].as_array().unwrap();
        assert_eq!(rounds.len(), 2);
        assert_eq!(server["errors"], 0, "{name}");
        for round in rounds {
            // The turn ends with the hundredth answer, or when its second is over.
            assert!(figure(&round["rate"]) > 0.0, "{name}: {round}");
            let answers = round["answers"].as_u64().unwrap();
            assert!((1..=100).contains(&answers), "{name}: {round}");
        }
        let rates = rounds.iter().map(|round| figure(&round["rate"]));
        let middle = rates.sum::<f64>() / 2.0;
        assert!((figure(&server["rate"]["median"]) - middle).abs() < 0.01);
    }
    let medians = [0, 1].map(|place| figure(&servers[place]["rate"]["median"]));
    let ratio = figure(&servers[0]["ratio"]);
    assert!((ratio - medians[0] / medians[1]).abs() < 0.001);
    assert_eq!(figure(&servers[1]["ratio"]), 1.0);
    assert_eq!(run["comparisons"][0]["of"], "second");
    assert!(output.contains("second/first: "), "{output}");
}

/// Where nothing is said of a number, a turn lasts for its seconds, and the rate is that
/// of the whole turn. The processor time is that of the children, too.
#[test]
fn a_turn_lasts_for_its_seconds() {
    let check = "what the bench makes of a second";
    if lacks("ab", check) || lacks("python3", check) {
        return;
    }
    let mut place = Place::new("seconds");
    place.python("busy", BUSY, "");
    let (code, _, errors) = place.run(&["--rounds=1", WHOLE_SECONDS]);
    assert_eq!(code, Some(0), "{errors}");
    let round = &place.record()["servers"][0]["rounds"][0];
    let figure = |name: &str| round[name].as_f64().unwrap();
    // A second, and what the last answer takes; `ab` looks at its clock between answers.
    let seconds = figure("answers") / figure("rate");
    assert!((0.9..10.0).contains(&seconds), "{round}");
    // Five thousandths of a second in a process and five in its child. The system
    // counts in hundredths, of which each of the two may have begun one.
    let unseen = 20_000.0 / figure("answers");
    assert!(figure("server_cpu_us") + unseen >= 10_000.0, "{round}");
    // Most of it is addition, which is no business of the kernel's.
    assert!(
        figure("server_user_us") > figure("server_system_us"),
        "{round}"
    );
}

#[test]
fn a_wrong_answer_is_an_error() {
    if lacks("ab", "the bench refuses a wrong answer") {
        return;
    }
    let mut place = Place::new("wrong");
    place.family("right");
    place.row("body", "webserver1", "body = \"Hello, Mars!\\n\"");
    place.row("status", "not_found", &format!("body = {HELLO:?}"));
    for (wrong, why) in [
        (
            "body",
            r#"the body "Hello, World!\n" where "Hello, Mars!\n""#,
        ),
        ("status", "404 Not Found` where 200 is expected"),
    ] {
        let (code, _, errors) = place.run(&["--servers", &format!("right,{wrong}")]);
        assert_eq!(code, Some(1), "{errors}");
        let line = errors.lines().last().unwrap();
        assert!(line.starts_with("bench: "), "{errors}");
        assert!(line.contains(wrong) && line.contains(why), "{errors}");
        assert!(!place.json().exists(), "a run was recorded");
    }
}

/// Answers like `webserver1`'s end with the connection, which wrk takes for an error.
/// The bench says so, and does not use wrk for it but where it is told to.
#[test]
fn the_errors_of_the_load_tool_are_reported() {
    let check = "the bench reports errors of wrk";
    if lacks("wrk", check) || lacks("python3", check) {
        return;
    }
    let mut place = Place::new("errors");
    place.python("lengthless", SLOW, "connection = \"keep-alive\"");
    let (code, _, errors) = place.run(&["--rounds=1"]);
    assert_eq!(code, Some(0), "{errors}");
    let server = &place.record()["servers"][0];
    assert_eq!(server["tool"], "wrk");
    // As many as the machine lets it make: the end of each is one, and one that comes
    // late on a busy machine is another.
    let errors = server["errors"].as_u64().unwrap();
    let answers = server["rounds"][0]["answers"].as_u64().unwrap();
    assert!(0 < answers && answers <= errors, "{server}");
}

/// Keeps connections alive, serves one of them at a time, and stops for half a second
/// before its eleventh answer; that to the bench's first question is not counted.
const STOPS_ONCE: &str = r#"
import contextlib, socket, sys, time
host, port = sys.argv[1].split(":")
listener = socket.create_server((host, int(port)))
answers = -1
while True:
    client, _ = listener.accept()
    with contextlib.suppress(OSError), client:
        while request := client.recv(4096):
            answers += 1
            if answers == 10:
                time.sleep(0.5)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nHello, World!\n")
            if b"close" in request:
                break
"#;

/// A thread for each connection, which it keeps; 2 ms for what comes at a time.
const KEEPS_ALIVE: &str = r#"
import contextlib, socket, sys, threading, time
def serve(client):
    with contextlib.suppress(OSError), client:
        while requests := client.recv(4096):
            time.sleep(0.002)
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nHello, World!\n"
            client.sendall(answer * requests.count(b"\r\n\r\n"))
            if b"close" in requests:
                break
host, port = sys.argv[1].split(":")
listener = socket.create_server((host, int(port)), backlog=64)
while True:
    threading.Thread(target=serve, args=listener.accept()[:1]).start()
"#;

#[test]
fn connections_that_stay_are_measured_with_wrk() {
    let check = "the bench measures a server that keeps connections alive";
    if lacks("wrk", check) || lacks("python3", check) {
        return;
    }
    let mut place = Place::new("alive");
    let more = "connection = \"keep-alive\"\nneeds = [\"python3\"]\n\
                modules = [\"socket\"]\nversion = \"python3 -V\"";
    place.python("alive", KEEPS_ALIVE, more);
    place.python("batches", KEEPS_ALIVE, "connection = \"pipelined\"");
    let (code, output, errors) = place.run(&["--rounds=1", "--silent=20"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(output.contains("keep-alive"), "{output}");
    let run = place.record();
    let [alive, batches] = [0, 1].map(|row| &run["servers"][row]);
    for server in [alive, batches] {
        assert_eq!(server["errors"], 0);
        assert!(server["rate"]["median"].as_f64().unwrap() > 0.0);
        let median = |name: &str| server[name]["median"].as_f64().unwrap();
        let parts = median("server_user_us") + median("server_system_us");
        assert!((median("server_cpu_us") - parts).abs() < 0.01, "{server}");
        // Each of the silent has a thread.
        let silent = &server["silent"];
        let counts =
            ["accepted", "processes", "threads"].map(|name| silent[name].as_u64().unwrap());
        assert_eq!(counts, [20, 1, 21], "{silent}");
        let bytes = |name: &str| silent[name].as_f64().unwrap();
        let more = bytes("resident_after") - bytes("resident_before");
        assert!((bytes("bytes_each") - more / 20.0).abs() < 0.01, "{silent}");
        assert!(bytes("bytes_each") > 1000.0, "{silent}");
        // An answer takes 2 ms, beside them too.
        assert!(bytes("alone_us") > 2000.0 && bytes("beside_us") > 2000.0);
    }
    assert_eq!(alive["tool"], "wrk");
    assert_eq!(batches["tool"], "wrk pipelined");
    // Sixteen are answered in the time of one.
    let answers = |server: &Value| server["rounds"][0]["answers"].as_u64().unwrap();
    assert!(answers(batches) > 4 * answers(alive), "{alive}\n{batches}");
    assert!(alive["version"].as_str().unwrap().starts_with("Python 3"));
}

/// One answer takes half a second, and nobody else is served meanwhile. At fifty requests
/// a second that meets half of them: those that were due then and could not be sent.
#[test]
fn who_waits_to_be_sent_is_in_the_latencies() {
    if lacks("python3", "the bench measures latencies at a fixed rate") {
        return;
    }
    let mut place = Place::new("rate");
    place.python("stops", STOPS_ONCE, "connection = \"keep-alive\"");
    let (code, output, errors) = place.run(&["--rounds=1", "--rate=50"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(
        output.contains("from when it was due, 50 a second"),
        "{output}"
    );
    let server = &place.record()["servers"][0];
    assert_eq!(
        (&server["errors"], &server["tool"]),
        (&json!(0), &json!("steady"))
    );
    let latency = &server["latency"];
    assert_eq!(
        (&latency["rate"], &latency["samples"]),
        (&json!(50), &json!(50))
    );
    let of = |from: &str, at: &str| latency[from][at].as_f64().unwrap();
    // The 11th to the 35th wait, the first of them half a second, the last not at all.
    assert!(of("from_due", "p90_us") > 350_000.0, "{latency}");
    assert!(of("from_sent", "max_us") > 500_000.0, "{latency}");
    for at in ["p50_us", "p90_us", "p99_us", "p999_us", "max_us"] {
        assert!(of("from_due", at) >= of("from_sent", at), "{at}: {latency}");
    }
}

#[test]
fn a_server_is_asked_in_the_ways_it_can_be() {
    let mut place = Place::new("ways");
    place.hello("closes", "webserver1");
    // It has its address from a file that is filled in for it.
    let file = place.folder.join("template.py");
    let text = STOPS_ONCE.replace("sys.argv[1]", "\"{address}\"");
    fs::write(&file, format!("# {}\n{text}", place.mark)).unwrap();
    place.rows(&format!(
        "[[server]]\nname = \"alive\"\nwhat = \"Python's\"\npath = \"/{}\"\nbody = {HELLO:?}\n\
         connection = \"keep-alive\"\nconfig = {file:?}\ncommand = \"python3 {{config}}\"\n",
        place.mark
    ));
    let run = |place: &Place, arguments: &[&str]| {
        let (code, _, errors) = place.run(arguments);
        (code, errors)
    };
    let (code, errors) = run(&place, &["--servers=closes", "--connection=pipelined"]);
    assert_eq!(
        (code, errors.as_str()),
        (Some(1), "bench: closes closes every connection\n")
    );
    let (code, errors) = run(&place, &["--connection=pipelined", "--rate=10"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("cannot be pipelined"), "{errors}");
    // All rows but the one that cannot; and that one may be asked alone, too.
    let ways = ["--rounds=1", "--rate=50", "--answers=5", "--connection"];
    let (code, errors) = run(&place, &[&ways[..], &["keep-alive"]].concat());
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(place.record()["servers"].as_array().unwrap().len(), 1);
    let alone = ["close", "--servers=alive", "--silent=3"];
    let (code, errors) = run(&place, &[&ways[..], &alone].concat());
    assert_eq!(code, Some(0), "{errors}");
    let server = &place.record()["servers"][0];
    let copies = fs::read_dir(book::root().join("target/bench")).unwrap();
    let left = copies.filter(|copy| {
        let text = fs::read_to_string(copy.as_ref().unwrap().path()).unwrap_or_default();
        text.contains(&place.mark)
    });
    assert_eq!(left.count(), 0, "copies of the file are left");
    // It waits for the first of the silent; the others wait for it, as the next would.
    let silent = &server["silent"];
    let counts = ["connected", "accepted"].map(|name| silent[name].as_u64().unwrap());
    assert_eq!((counts, &silent["beside_us"]), ([3, 1], &Value::Null));
    assert_eq!(
        (&server["connection"], &server["errors"]),
        (&json!("close"), &json!(0))
    );
}

/// Also when it has no time to clean up.
#[test]
fn nothing_outlives_the_bench() {
    if lacks("ab", "what the bench starts ends with it") {
        return;
    }
    for (signal, code) in [(Signal::SIGINT, Some(130)), (Signal::SIGKILL, None)] {
        let mut place = Place::new(&format!("outlives-{}", signal as i32));
        place.hello("a", "webserver1");
        match signal {
            Signal::SIGINT => place.family("b"),
            // A child of a server that is killed must see to itself.
            _ => place.hello("b", "smallest_answer"),
        }
        let mut bench = place.bench(&["--warm-up=60", WHOLE_SECONDS]);
        end_with_parent(bench.stdout(Stdio::null()).stderr(Stdio::null()));
        let mut bench = bench.spawn().unwrap();
        wait_for("the servers and the load", || {
            assert_eq!(bench.try_wait().unwrap(), None, "the bench has ended");
            let all = place.processes();
            let load = all.iter().any(|line| line.starts_with("ab "));
            let others = all.iter().filter(|line| !line.starts_with("ab "));
            // The bench, and a process of each server at least.
            (load && others.count() >= 3).then_some(())
        });
        kill(Pid::from_raw(bench.id() as i32), signal).unwrap();
        let end = wait_for("the end of the bench", || bench.try_wait().unwrap());
        assert_eq!(end.code(), code);
        match signal {
            Signal::SIGINT => assert_eq!(place.processes(), Vec::<String>::new()),
            // The kernel does it, in its own time.
            _ => wait_for("the end of all", || {
                place.processes().is_empty().then_some(())
            }),
        }
    }
}

#[test]
fn what_is_missing_is_named() {
    let mut place = Place::new("missing");
    place.hello("here", "webserver1");
    let needs = "needs = [\"no-such-tool\"]\ninstall = \"make one\"\nbody = \"\"";
    place.row("gone", "webserver1", needs);
    let (code, _, errors) = run_to_end(place.bench(&["--servers=here"]).env("PATH", "/nowhere"));
    assert_eq!(code, Some(1));
    assert!(errors.contains("apt-get install apache2-utils"), "{errors}");

    if lacks("ab", "the bench leaves out what is missing") {
        return;
    }
    let named = "left out: gone: no no-such-tool; make one";
    let (code, output, errors) = place.run(&["--rounds=1"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains(named), "{errors}");
    assert!(
        output.contains("here "),
        "the others are measured: {output}"
    );
    let (code, _, errors) = place.run(&["--rounds=1", "--available"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(errors.contains(named), "{errors}");
}

#[test]
fn a_server_that_ends_is_an_error() {
    if lacks("ab", "the bench sees the end of a server") {
        return;
    }
    let mut place = Place::new("ends");
    place.rows(
        "[[server]]\nname = \"brief\"\nwhat = \"ends\"\ncommand = \"true {address}\"\n\
         path = \"/\"\nbody = \"\"\n",
    );
    let (code, _, errors) = place.run(&[]);
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("brief has ended (exit status 0)"),
        "{errors}"
    );
}

#[test]
fn mistakes_are_found_before_the_first_round() {
    let mut place = Place::new("mistakes");
    place.hello("only", "webserver1");
    for (argument, why) in [
        (
            "--servers=other",
            "no server is named other; there are only",
        ),
        ("--baseline=other", "the baseline other is not measured"),
        ("--compare=only/other", "other is not measured"),
        ("--compare=only", "two names with a slash"),
    ] {
        let (code, _, errors) = place.run(&[argument]);
        assert_eq!(code, Some(1));
        assert!(errors.contains(why), "{argument}: {errors}");
    }
    place.rows("colour = \"red\"\n");
    let (code, _, errors) = place.run(&[]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("unknown field `colour`"), "{errors}");
}

/// The rows of the table that are not ours give the right answer too.
#[test]
fn the_peers_answer() {
    let check = "the bench measures the peers of webserver3g";
    if lacks("ab", check) || lacks("cc", check) || lacks("python3", check) {
        return;
    }
    let mut bench = program("bench");
    bench.args(["--rounds=1", "--seconds=1", "--warm-up=0"]);
    bench.args(["--servers=fork.c,webserver3g.py", "--answers=100"]);
    let (code, output, errors) = run_to_end(&mut beside_others(&bench));
    assert_eq!(code, Some(0), "{errors}");
    for line in output.lines().filter(|line| line.contains(" close ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[5], "0", "errors: {line}");
    }
    assert!(output.contains("\nfork.c "), "{output}");
    assert!(output.contains("\nwebserver3g.py "), "{output}");
}

#[test]
fn a_fork_costs_more_as_memory_grows() {
    let place = Place::new("fork");
    // What a child waits for a busy processor may be more than its fork costs, but not
    // each time.
    let mut tries = 0;
    loop {
        let mut cost = program("fork_cost");
        cost.args(["--megabytes=0,64", "--rounds=3", "--forks=5", "--json"]);
        let (code, output, errors) = run_to_end(cost.arg(place.json()));
        assert_eq!(code, Some(0), "{errors}");
        assert!(output.contains("median us"), "{output}");
        let run = place.record();
        assert_eq!(run["kind"], "fork-cost");
        let sizes = run["sizes"].as_array().unwrap();
        assert!(sizes[1]["resident_megabytes"].as_u64().unwrap() >= 64);
        assert!(sizes[0]["resident_megabytes"].as_u64().unwrap() < 64);
        let median = |place: usize| sizes[place]["microseconds"]["median"].as_f64().unwrap();
        if median(1) > median(0) * 1.5 {
            break;
        }
        tries += 1;
        assert!(tries < 10, "{sizes:?}");
    }

    let (code, _, errors) = run_to_end(program("fork_cost").arg("--megabytes=999999999"));
    assert_eq!(code, Some(1));
    assert!(errors.contains("MB are free"), "{errors}");
}

#[test]
fn a_figure_says_what_it_shows() {
    let place = Place::new("figure");
    let server = |name: &str, median: f64| {
        json!({
            "name": name, "what": "", "command": "", "version": null, "connection": "close",
            "tool": "ab", "rounds": [], "errors": 0, "ratio": 1.0,
            "rate": {"median": median, "min": median - 50.0, "max": median + 100.0},
            "server_cpu_us": {"median": median / 2000.0, "min": 1.0, "max": median / 1000.0},
            "silent": {
                "clients": 10, "connected": 10, "accepted": 10, "processes": 1, "threads": 1,
                "resident_before": 0, "resident_after": 10 * median as u64, "bytes_each": median,
                "alone_us": 1.0, "beside_us": null,
            },
        })
    };
    let run = json!({
        "kind": "throughput", "seconds": 5, "warm_up_seconds": 1, "connections": 32,
        "tools": {}, "baseline": "a<b", "comparisons": [],
        "machine": {"cpu": "C", "cores": 2, "memory_mib": 1, "load_before": 0.0, "kernel": "K", "date": "D", "rustc": "R"},
        "servers": [server("a<b", 12000.0), server("half", 6000.0), server("third", 4000.0)],
    });
    fs::write(place.json(), run.to_string()).unwrap();
    let draw = |name: &str, arguments: &[&str]| {
        let mut figure = program("figure");
        figure
            .args(["run.json", name])
            .args(arguments)
            .current_dir(&place.folder);
        let (code, _, errors) = run_to_end(&mut figure);
        match code {
            Some(0) => Ok(fs::read_to_string(place.folder.join(name)).unwrap()),
            _ => Err(errors),
        }
    };
    let svg = draw("figure.svg", &[]).unwrap();
    assert_eq!(
        draw("figure.svg", &[]).unwrap(),
        svg,
        "another figure of the same run"
    );
    for part in [
        r#"viewBox="0 0 360 "#,
        r#"role="img""#,
        r#"aria-label="A bar chart. Answers a second: a&lt;b 12,000, half 6,000, third 4,000.""#,
        "half 6,000 (5,950 to 6,100)",
        ">a&lt;b</text>",
        "var(--links, #1f5f9f)",
        "cargo run -p bench --bin figure -- run.json figure.svg</metadata>",
    ] {
        assert!(svg.contains(part), "no {part} in {svg}");
    }
    // Bars are as long as their figures are high, from nothing on.
    let widths: Vec<f64> = svg
        .lines()
        .filter(|line| line.starts_with("<rect"))
        .map(|line| line.split('"').nth(5).unwrap().parse().unwrap())
        .collect();
    assert_eq!(widths.len(), 3);
    assert!((widths[0] / widths[1] - 2.0).abs() < 0.01, "{widths:?}");
    assert!((widths[0] / widths[2] - 3.0).abs() < 0.01, "{widths:?}");

    let some = draw("some.svg", &["--servers=third,half"]).unwrap();
    assert!(some.contains("second: third 4,000, half 6,000."), "{some}");
    assert!(
        some.contains("some.svg --servers third,half</metadata>"),
        "{some}"
    );
    let processor = draw("cpu.svg", &["--of=processor"]).unwrap();
    for part in [
        "microseconds: a&lt;b 6.0, half 3.0",
        "half 3.0 (1.0 to 6.0)",
    ] {
        assert!(processor.contains(part), "no {part} in {processor}");
    }
    let silent = draw("silent.svg", &["--of=silent", "--servers=half"]).unwrap();
    for part in [
        "Resident bytes for a silent client: half 6,000.",
        "<desc>In bytes: half 6,000. One look",
        "silent.svg --servers half --of silent</metadata>",
    ] {
        assert!(silent.contains(part), "no {part} in {silent}");
    }
    let error = draw("none.svg", &["--servers=other"]).unwrap_err();
    assert!(error.contains("the run has no server other"), "{error}");
}

fn recorded(name: &str) -> Value {
    let file = book::root().join("code/bench/runs").join(name);
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// A page that shows a record says so if the machine had more to do than it has
/// cores: the figures are then those of a busy machine.
#[test]
fn a_page_says_how_busy_the_machine_of_its_record_was() {
    let mut shown = 0;
    for chapter in course().chapters().unwrap() {
        for part in chapter.text.split("code/bench/runs/").skip(1) {
            let name = part.split('<').next().unwrap().split('`').next().unwrap();
            let machine = &recorded(name)["machine"];
            let load = machine["load_before"].as_f64().unwrap();
            let place = format!("{}: {name}", chapter.file.display());
            let said = part.contains(&format!("load average was\n{load}."))
                || part.contains(&format!("load average was {load}."));
            let busy = load > machine["cores"].as_f64().unwrap();
            assert!(
                said || !busy,
                "{place} does not say that the load average was {load}"
            );
            shown += 1;
        }
    }
    assert!(shown > 3, "{shown} records are shown");
}

/// The figures that the text takes from a record.
#[test]
fn figures_in_the_text_are_those_of_the_record() {
    // Of which server; the rate, or the processor time for an answer; and as it is
    // written.
    for (page, record, server, figure, written) in [
        (
            "part2/the-servers-side.md",
            "part2.json",
            "webserver1",
            "rate",
            "75,342",
        ),
        (
            "part2/the-servers-side.md",
            "part2.json",
            "webserver2",
            "rate",
            "69,676",
        ),
        (
            "part2/the-servers-side.md",
            "part2.json",
            "webserver2",
            "server_cpu_us",
            "9.1 µs",
        ),
        (
            "part2/the-servers-side.md",
            "part2.json",
            "webserver1",
            "server_cpu_us",
            "7.2",
        ),
        (
            "part3/what-you-can-build.md",
            "part3.json",
            "webserver3g",
            "server_cpu_us",
            "136 microseconds",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-kept.json",
            "webserver4d",
            "rate",
            "151,140",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-kept.json",
            "fixed",
            "rate",
            "179,655",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-kept.json",
            "webserver4d",
            "server_cpu_us",
            "5.3 microseconds",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-close.json",
            "nginx",
            "server_cpu_us",
            "17.7",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-close.json",
            "webserver4d",
            "rate",
            "40,640",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-close.json",
            "webserver4a",
            "server_cpu_us",
            "18.5",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-close.json",
            "fixed",
            "server_cpu_us",
            "14.7",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-python.json",
            "webserver4d-python",
            "rate",
            "123,569",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-python.json",
            "fastwsgi",
            "rate",
            "130,915",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-python-close.json",
            "webserver4d-python",
            "rate",
            "41,074",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-python-close.json",
            "uwsgi-quiet",
            "rate",
            "40,564",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-kept.json",
            "actix",
            "rate",
            "164,831",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-kept.json",
            "hyper",
            "rate",
            "156,923",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-kept.json",
            "nginx",
            "rate",
            "155,501",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-kept.json",
            "axum",
            "rate",
            "155,333",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-kept-other.json",
            "webserver4d",
            "rate",
            "99,103",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-kept-other.json",
            "nginx",
            "rate",
            "97,560",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-python.json",
            "granian",
            "rate",
            "53,058",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-python-close.json",
            "uwsgi",
            "rate",
            "36,581",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-python-close.json",
            "gunicorn",
            "rate",
            "4,641",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-python-close.json",
            "gunicorn",
            "server_cpu_us",
            "178.3",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-python-close.json",
            "webserver4d-python",
            "server_cpu_us",
            "16.9",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-python-close.json",
            "uwsgi",
            "server_cpu_us",
            "21.3",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-python.json",
            "fastwsgi",
            "server_cpu_us",
            "7.5",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-python.json",
            "granian",
            "server_cpu_us",
            "27.9",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-kept.json",
            "tiny_http",
            "rate",
            "63,455",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-without.json",
            "fixed-two-sends",
            "server_cpu_us",
            "6.0",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-without.json",
            "fixed-another-thread",
            "server_cpu_us",
            "6.7",
        ),
        (
            "part4/what-it-costs-now.md",
            "part4-batches.json",
            "nginx",
            "server_cpu_us",
            "4.5",
        ),
    ] {
        let text = fs::read_to_string(book::root().join("book").join(page)).unwrap();
        assert!(text.contains(written), "{page} no longer says {written}");
        let run = recorded(record);
        let mut servers = run["servers"].as_array().unwrap().iter();
        let found = servers.find(|row| row["name"] == server).unwrap();
        let median = found[figure]["median"].as_f64().unwrap();
        let number = written.split(' ').next().unwrap().replace(',', "");
        let places = number.split_once('.').map_or(0, |(_, places)| places.len());
        let wrong = format!("{page} says {written} of {server}; {record} says {median}");
        assert_eq!(format!("{median:.places$}"), number, "{wrong}");
    }
}

/// Whoever changes what is recorded must still be able to draw what was.
#[test]
fn recorded_runs_can_be_drawn() {
    let place = Place::new("recorded");
    let runs = book::root().join("code/bench/runs");
    let mut drawn = 0;
    for entry in fs::read_dir(runs).unwrap() {
        let run = entry.unwrap().path();
        let mut figure = program("figure");
        figure.arg(&run).arg(place.folder.join("figure.svg"));
        let (code, _, errors) = run_to_end(&mut figure);
        assert_eq!(code, Some(0), "{}: {errors}", run.display());
        drawn += 1;
    }
    assert!(drawn > 0, "no run is recorded");
}

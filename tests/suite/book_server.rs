//! `cargo run`: the server of the book, as a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use tests::client::Client;
use tests::programs::executable;
use tests::server::{run_to_end, Group};

/// A running server of the book. Dropping it ends it.
pub struct Book {
    _server: Group,
    address: SocketAddr,
}

impl Book {
    /// Starts it, and goes away when it has said where it serves: then the pages are as
    /// the chapters are. It finds no program that could open a browser.
    pub fn start() -> Book {
        let nothing = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-programs");
        fs::create_dir_all(&nothing).unwrap();
        let mut command = Command::new(executable("book"));
        command.args(["--address", "127.0.0.1:0", "--open"]);
        command.env("PATH", nothing).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = Group::spawn(&mut command);
        let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
        let mut errors = BufReader::new(server.0.stderr.take().unwrap()).lines();
        let Some(line) = lines.next() else {
            let errors: Vec<String> = errors.map_while(Result::ok).collect();
            panic!("it does not serve:\n{}", errors.join("\n"));
        };
        let line = line.unwrap();
        let address = line.strip_prefix("Serving the book on http://");
        let address = address.and_then(|rest| rest.strip_suffix("/ (Ctrl-C ends it)"));
        let address = address.and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("it begins with {line:?}"));
        let warning = errors.nth(1).expect("it warns").unwrap();
        let wanted = format!("; open http://{address}/ yourself");
        assert!(warning.ends_with(&wanted), "{warning}");
        Book {
            _server: server,
            address,
        }
    }

    /// The head of the answer to a request.
    fn ask(&self, line: &str, fields: &str) -> String {
        let request = format!("{line} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n");
        let (answer, _) = Client::connect(self.address).ask(&request);
        let head = answer.split("\r\n\r\n").next().unwrap_or_default();
        head.to_string()
    }
}

/// Without a browser, and with nobody who reads its output, it serves; whatever is
/// asked for comes from the book, and leads nowhere else.
#[test]
fn it_answers_on_its_own_host() {
    let book = Book::start();
    let long = format!("GET /{}", "x".repeat(300));
    let longer = format!("GET /{}", "x".repeat(9000));
    let deep = format!("GET {}", "/x".repeat(3000));
    for (line, status, location) in [
        ("GET /", 200, None),
        ("HEAD /part1/map.html", 200, None),
        ("GET /part1/map.html?x=1", 200, None),
        ("GET //part1/map.html", 200, None),
        ("GET http://example.com/part1/map.html", 200, None),
        ("GET /part1/", 200, None),
        // A folder without its slash.
        ("GET /part1", 307, Some("/part1/")),
        ("GET /part1?x=//y", 307, Some("/part1/?x=//y")),
        ("GET //part1", 307, Some("/part1/")),
        ("GET ///part1?x", 307, Some("/part1/?x")),
        ("GET http://example.com/part1", 307, Some("/part1/")),
        ("GET http://example.com//part1", 307, Some("/part1/")),
        // Not there, or not in the book.
        ("GET /\\part1", 404, None),
        ("GET //example.com/", 404, None),
        ("GET //example.com/..%2fpart1", 404, None),
        ("GET /%2e%2e/%2e%2e/Cargo.toml", 404, None),
        ("GET /../../Cargo.toml", 404, None),
        ("GET /..%2f..%2fCargo.toml", 404, None),
        ("GET /%2f%2fetc/passwd", 404, None),
        ("GET /%00", 404, None),
        ("GET /index.html%00", 404, None),
        ("GET /%ff", 404, None),
        ("GET /index.html/", 404, None),
        ("GET /index.html/x", 404, None),
        ("HEAD /no/such/page", 404, None),
        (&long, 414, None),
        (&longer, 414, None),
        (&deep, 414, None),
        ("POST /", 405, None),
        ("OPTIONS *", 405, None),
        ("CONNECT example.com:80", 405, None),
    ] {
        let head = book.ask(line, "Host: localhost\r\n");
        let found = head
            .lines()
            .find_map(|line| line.strip_prefix("location: "));
        let start = format!("HTTP/1.1 {status} ");
        assert!(head.starts_with(&start), "{line}: {head}");
        assert_eq!(found, location, "{line}: {head}");
    }
    for range in ["bytes=0-9", "bytes=0-1,5-9", "bytes=99999999-", "x"] {
        let field = format!("Host: x\r\nRange: {range}\r\n");
        for (line, status) in [("GET /", "200"), ("GET /no/such/page", "404")] {
            let head = book.ask(line, &field);
            let whole = head.starts_with(&format!("HTTP/1.1 {status} "));
            assert!(whole && !head.contains("-range"), "{line}, {range}: {head}");
        }
    }
}

#[test]
fn a_busy_port_is_one_clear_line() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let (code, output, errors) =
        run_to_end(Command::new(executable("book")).args(["--address", &address.to_string()]));
    assert_eq!((code, output.as_str()), (Some(1), ""));
    assert_eq!(errors.lines().count(), 1, "{errors}");
    let start = format!(
        "serve the book on port {} of 127.0.0.1 (choose another with: ",
        address.port()
    );
    assert!(errors.starts_with(&start), "{errors}");
    assert!(errors.contains("Address already in use"), "{errors}");
}

/// What makes them would make `cargo run` slower for everybody.
#[test]
fn a_book_for_paper_needs_a_feature_and_says_so() {
    for option in ["epub", "pdf"] {
        let argument = format!("--{option}=no-such-folder/file");
        let (code, output, errors) = run_to_end(Command::new(executable("book")).arg(argument));
        assert_eq!((code, output.as_str()), (Some(1), ""));
        let expected = format!(
            "--{option} needs a feature that is off: cargo run --features epub -- --{option} FILE\n"
        );
        assert_eq!(errors, expected);
    }
}

#[test]
fn a_wrong_command_line_is_refused() {
    let run = |argument: &str| run_to_end(Command::new(executable("book")).arg(argument));
    for wrong in ["--opne", "127.0.0.1:3000", "--address=:3000", "--address="] {
        let (code, output, errors) = run(wrong);
        assert_eq!((code, output.as_str()), (Some(2), ""), "{wrong}");
        assert!(errors.starts_with("error: "), "{errors}");
    }
    for help in ["--help", "-h"] {
        let (code, output, errors) = run(help);
        assert_eq!((code, errors.as_str()), (Some(0), ""));
        // That it does not follow edits is said here.
        let says = [
            "Builds the book, if anything has changed",
            "mdbook serve",
            "--address <HOST:PORT>",
        ];
        assert!(says.iter().all(|word| output.contains(word)), "{output}");
    }
    for version in ["--version", "-V"] {
        let (code, output, _) = run(version);
        assert_eq!((code, output.as_str()), (Some(0), "book 0.1.0\n"));
    }
}

//! Heads: where they end, what they say, what is refused, and the environ that
//! comes of them.

use gateway::http::{read_head, Framing, Head, Limits, Refused};
use gateway::Environ;
use std::io::{BufReader, Read};

const LIMITS: Limits = Limits::DEFAULT;
const MAX_LINE: usize = LIMITS.max_line as usize;
const MAX_HEAD: usize = LIMITS.max_head as usize;

/// What a server makes of these bytes, and what it has left of them.
fn read(bytes: &[u8]) -> (Result<Head<'static>, Refused>, &[u8]) {
    let mut connection = bytes;
    let head = read_head(&mut connection, &LIMITS).map_err(|error| {
        let refused = Refused::of(&error).copied();
        refused.unwrap_or_else(|| panic!("no refusal: {error}"))
    });
    (
        // Leaked: it borrows from these bytes, and this is a test.
        head.and_then(|head| Head::parse(head.leak(), &LIMITS)),
        connection,
    )
}

fn parse(bytes: impl AsRef<[u8]>) -> Head<'static> {
    let (head, rest) = read(bytes.as_ref());
    assert_eq!(rest, b"");
    head.unwrap_or_else(|refused| panic!("{refused}"))
}

/// A head with this first line and these fields, and a Host.
fn with(first_line: &str, fields: &str) -> Vec<u8> {
    format!("{first_line}\r\nHost: localhost\r\n{fields}\r\n").into_bytes()
}

fn environ(bytes: impl AsRef<[u8]>) -> Environ {
    parse(bytes).environ(Box::new(std::io::empty()))
}

/// A variable of the environ that `GET target` brings.
fn of_target(target: &str, variable: &str) -> String {
    environ(with(&format!("GET {target} HTTP/1.1"), ""))
        .text(variable)
        .unwrap_or_default()
}

// read_head.

#[test]
fn a_head_ends_with_the_empty_line() {
    for head in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\n\n",                 // typed by hand
        "GET / HTTP/1.1\r\nHost: x\n\r\n",             // both
        "\r\n\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", // empty lines before it
    ] {
        let request = format!("{head}the body");
        let mut connection = request.as_bytes();
        assert_eq!(
            read_head(&mut connection, &LIMITS).unwrap(),
            head.as_bytes()
        );
        assert_eq!(connection, b"the body");
        assert_eq!(parse(head).fields, [("Host", &b"x"[..])]);
    }
}

/// However the bytes arrive.
#[test]
fn a_head_may_come_byte_by_byte() {
    let request = b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nthe body";
    let mut connection = BufReader::with_capacity(1, &request[..]);
    assert_eq!(
        read_head(&mut connection, &LIMITS).unwrap(),
        request[..request.len() - 8]
    );
    let mut rest = String::new();
    connection.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "the body");
}

#[test]
fn a_client_that_leaves_without_a_word_says_nothing() {
    for silence in ["", "\r\n", "\n\r\n\n"] {
        assert_eq!(
            read_head(&mut silence.as_bytes(), &LIMITS).unwrap(),
            b"",
            "{silence:?}"
        );
    }
    let whole = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for length in 1..whole.len() {
        let (head, _) = read(&whole.as_bytes()[..length]);
        let refused = head.expect_err(&whole[..length]);
        assert_eq!(refused.to_string(), "400 Bad Request: the head breaks off");
    }
}

/// What the connection says is passed on: it is no refusal.
#[test]
fn an_error_of_the_connection_is_passed_on() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    let error = read_head(&mut BufReader::new(Broken), &LIMITS).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(Refused::of(&error), None);
}

#[test]
fn the_limits_are_those_of_the_text() {
    assert_eq!(
        (MAX_LINE, MAX_HEAD, LIMITS.max_fields),
        (8_192, 65_536, 100)
    );
    assert_eq!(LIMITS.max_body, 1_073_741_824);
}

/// Each limit, at its last byte and one beyond it; and that no more is read.
#[test]
fn what_is_too_long_is_refused_at_its_limit() {
    let first_line = |size: usize| {
        let path = "x".repeat(size - "GET / HTTP/1.1\r\n".len());
        format!("GET /{path} HTTP/1.1\r\n")
    };
    let head = |size: usize| {
        let start = "GET / HTTP/1.1\r\nHost: x\r\nX: ";
        let value = "x".repeat(size - start.len() - "\r\n\r\n".len());
        format!("{start}{value}\r\n\r\n")
    };
    let fields = |number: usize| {
        let fields: String = (1..number).map(|n| format!("X: {n}\r\n")).collect();
        format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
    };
    let host = "Host: x\r\n\r\n";
    let empty_lines = |size: usize| "\r\n".repeat(size / 2) + "GET / HTTP/1.1\r\n" + host;
    let first = MAX_LINE;
    assert_eq!(parse(first_line(first) + host).target.len(), first - 15);
    assert_eq!(parse(head(MAX_HEAD)).fields.len(), 2);
    assert_eq!(
        parse(fields(LIMITS.max_fields)).fields.len(),
        LIMITS.max_fields
    );
    assert_eq!(parse(empty_lines(first - 16)).method, "GET");

    let endless = "x".repeat(2 * MAX_HEAD);
    let long_field = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {endless}");
    let many_fields = "GET / HTTP/1.1\r\n".to_string() + &"X: y\r\n".repeat(MAX_HEAD);
    for (bytes, status, most) in [
        (first_line(first + 1) + host, "414 URI Too Long", first),
        (empty_lines(first), "414 URI Too Long", first),
        (empty_lines(2 * first), "414 URI Too Long", first),
        (endless, "414 URI Too Long", first),
        (
            head(MAX_HEAD + 1),
            "431 Request Header Fields Too Large",
            MAX_HEAD,
        ),
        (long_field, "431 Request Header Fields Too Large", MAX_HEAD),
        (many_fields, "431 Request Header Fields Too Large", MAX_HEAD),
        (
            fields(LIMITS.max_fields + 1),
            "431 Request Header Fields Too Large",
            MAX_HEAD,
        ),
    ] {
        let (refused, rest) = read(bytes.as_bytes());
        let start = &bytes[..40];
        assert_eq!(refused.expect_err(start).status, status, "{start:?}");
        assert!(
            bytes.len() - rest.len() <= most,
            "{start:?} is read too far"
        );
    }
}

// The first line.

#[test]
fn methods_are_tokens() {
    for method in ["GET", "get", "PATCH", "M-SEARCH", "!#$%&'*+-.^_`|~09azAZ"] {
        assert_eq!(
            parse(with(&format!("{method} / HTTP/1.1"), "")).method,
            method
        );
    }
}

#[test]
fn versions_are_told_apart() {
    for (version, read_as) in [
        ("HTTP/1.0", "HTTP/1.0"),
        ("HTTP/1.1", "HTTP/1.1"),
        ("HTTP/1.2", "HTTP/1.1"),
        ("HTTP/1.9", "HTTP/1.1"),
    ] {
        assert_eq!(
            parse(with(&format!("GET / {version}"), "")).version,
            read_as
        );
    }
}

#[test]
fn bad_first_lines_are_refused() {
    let bad = "400 Bad Request";
    let version = "505 HTTP Version Not Supported";
    for (line, status) in [
        ("GET", bad),
        ("GET /", bad), // HTTP/0.9
        ("GET  / HTTP/1.1", bad),
        ("GET /  HTTP/1.1", bad),
        ("GET / HTTP/1.1 ", bad),
        (" GET / HTTP/1.1", bad),
        ("GET\t/\tHTTP/1.1", bad),
        ("GET /a b HTTP/1.1", bad),
        ("GET / HTTP/1.1\r", bad),
        ("GET /\r HTTP/1.1", bad),
        ("G\0T / HTTP/1.1", bad),
        ("G(T / HTTP/1.1", bad),
        ("GÉT / HTTP/1.1", bad),
        ("\u{feff}GET / HTTP/1.1", bad),
        (" / HTTP/1.1", bad),
        ("GET / http/1.1", bad),
        ("GET / HTTP/1.10", bad),
        ("GET / HTTP/1", bad),
        ("GET / HTTP/1,1", bad),
        ("GET / HTTP/x.y", bad),
        ("GET / HTTP/1.1x", bad),
        ("GET / ICY/1.1", bad),
        ("GET / HTTP/0.9", version),
        ("GET / HTTP/2.0", version),
        ("GET / HTTP/3.0", version),
        ("GET / HTTP/9.9", version),
        ("PRI * HTTP/2.0", version), // how HTTP/2 begins
        ("CONNECT localhost:80 HTTP/1.1", "501 Not Implemented"),
        ("CONNECT / HTTP/1.1", "501 Not Implemented"),
        ("GET hello HTTP/1.1", bad),
        ("GET * HTTP/1.1", bad),
        ("OPTIONS ** HTTP/1.1", bad),
        ("GET /# HTTP/1.1", bad),
        ("GET /\0 HTTP/1.1", bad),
        ("GET /\x7f HTTP/1.1", bad),
        ("GET /\t HTTP/1.1", bad),
        ("GET localhost:80 HTTP/1.1", bad),
        ("GET ftp://localhost/ HTTP/1.1", bad),
        ("GET httpx://localhost/ HTTP/1.1", bad),
        ("GET https:/localhost/ HTTP/1.1", bad),
        ("GET https:/// HTTP/1.1", bad),
        ("GET https://a@b/ HTTP/1.1", bad),
        ("GET http://:80/ HTTP/1.1", bad),
        ("GET http://x:port/ HTTP/1.1", bad),
        ("GET http://[::1/ HTTP/1.1", bad),
        ("GET http://%zz/ HTTP/1.1", bad),
        ("GET http://a,b/ HTTP/1.1", bad),
        ("GET http:/// HTTP/1.1", bad),
        ("GET http://?x HTTP/1.1", bad),
        ("GET http://a@b/ HTTP/1.1", bad),
        ("GET http://a\\b/ HTTP/1.1", bad),
        ("GET http: HTTP/1.1", bad),
    ] {
        let (refused, _) = read(&with(line, ""));
        assert_eq!(refused.expect_err(line).status, status, "{line:?}");
    }
}

#[test]
fn targets_are_taken_as_they_come() {
    for target in [
        "/",
        "/a%20b?c=%20",
        "//x",
        "/?",
        "/{\"a|b\\c^d`}",
        "/%zz%",
        "http://x",
        "HTTP://x:80?y",
        "https://x",
        "hTTpS://[::1]:443/?y",
        "http://x:/",
    ] {
        let head = parse(with(&format!("GET {target} HTTP/1.1"), ""));
        assert_eq!(head.target, target.as_bytes());
    }
    let mut request = b"GET /caf\xc3\xa9\xff HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    assert_eq!(parse(&request).target, b"/caf\xc3\xa9\xff");
    request = with("OPTIONS * HTTP/1.1", "");
    assert_eq!(parse(&request).target, b"*");
}

// The fields.

#[test]
fn values_are_without_the_space_around_them() {
    for line in ["X:y z", "X: y z", "X:\t y z \t", "X:y z   "] {
        let head = parse(with("GET / HTTP/1.1", &format!("{line}\r\n")));
        assert_eq!(head.field("x"), Some(&b"y z"[..]), "{line:?}");
    }
    for line in ["X:", "X: ", "X:\t\t"] {
        let head = parse(with("GET / HTTP/1.1", &format!("{line}\r\n")));
        assert_eq!(head.field("X"), Some(&b""[..]), "{line:?}");
    }
    let head = parse(b"GET / HTTP/1.1\r\nHost: x\r\nX: a\tb \xe9\xff\r\n\r\n");
    assert_eq!(head.field("X"), Some(&b"a\tb \xe9\xff"[..]));
    assert_eq!(head.field("Y"), None);
}

#[test]
fn bad_fields_are_refused() {
    for line in [
        "X",
        ": y",
        "X : y",
        "X\t: y",
        " X: y",
        "\tX: y",
        "X: y\r\n folded",
        "X: y\r\n\tfolded",
        "X: y\r\n : z",
        "X Y: z",
        "X\0: y",
        "X(: y",
        "Größe: y",
        "X: y\0z",
        "X: y\rz",
        "X: y\r\r",
        "X: \ry",
        "X: y\x0b",
        "X: y\x0c",
        "X: \x0cy",
        "X: y\x7f",
        "X: \x1b[2J",
        "\rX: y",
        "X\r: y",
        "\r\r",
    ] {
        let (refused, _) = read(&with("GET / HTTP/1.1", &format!("{line}\r\n")));
        assert_eq!(
            refused.expect_err(line).status,
            "400 Bad Request",
            "{line:?}"
        );
    }
}

#[test]
fn there_is_one_host() {
    let host = |version: &str, hosts: &[&str]| {
        let hosts: String = hosts
            .iter()
            .map(|host| format!("Host:{host}\r\n"))
            .collect();
        read(format!("GET / {version}\r\n{hosts}\r\n").as_bytes()).0
    };
    for good in [
        "",
        "x",
        "localhost:8888",
        "127.0.0.1",
        "999.1.1.1", // a name, to the grammar
        "a-b.c_d~e",
        "%41%fF",
        "a!$&'()*+;=b",
        "x:",
        "x:0",
        "x:00080",
        "x:65535",
        "[::1]",
        "[::1]:8888",
        "[::1]:",
        "[::]",
        "[1:2:3:4:5:6:7:8]",
        "[1:2:3:4:5:6:7::]",
        "[::ffff:127.0.0.1]:80",
        "[2001:DB8::a]",
        "[v1.x]",
        "[vFf.a:b-~]:80",
    ] {
        assert!(host("HTTP/1.1", &[good]).is_ok(), "{good}");
        assert!(host("HTTP/1.0", &[good]).is_ok(), "{good}");
    }
    assert!(host("HTTP/1.0", &[]).is_ok());
    for bad in [
        &[][..],
        &["x", "x"],
        &["x", "y"],
        &["a b"],
        &["a/b"],
        &["a@b"],
        &["a?b"],
        &["a#b"],
        &["a\\b"],
        &["a|b"],
        &["<a>"],
        &["ä"],
        &["a,b"],
        &["a, b"],
        &["x:bad"],
        &["x:-5"],
        &["x:+5"],
        &["x:0x50"],
        &["x:65536"],
        &["x:99999999999999999999"],
        &["x:80:80"],
        &["x::80"],
        &[":80"],
        &[":"],
        &["%"],
        &["%4"],
        &["%zz"],
        &["%4g"],
        &["a%"],
        &["::1"],
        &["[::1"],
        &["[[::1]"],
        &["[::1]]"],
        &["[]"],
        &["[]:80"],
        &["::1]"],
        &["[::1]80"],
        &["[::1]:bad"],
        &["[::1]:80:80"],
        &["[::1]x"],
        &["x[::1]"],
        &["[x]"],
        &["[127.0.0.1]"],
        &["[1:2:3]"],
        &["[1:2:3:4:5:6:7:8:9]"],
        &["[::12345]"],
        &["[::g]"],
        &["[1::2::3]"],
        &["[fe80::1%25eth0]"], // RFC 6874 ends with the client's machine
        &["[fe80::1%eth0]"],
        &["[ ::1 ]"],
        &["[v.x]"],
        &["[v1.]"],
        &["[v1x]"],
        &["[vg.x]"],
        &["[v1.%41]"],
        &["[v1.a,b]"],
        &["[::ä]"],
    ] {
        let refused = host("HTTP/1.1", bad).unwrap_err();
        assert_eq!(refused.status, "400 Bad Request", "{bad:?}");
    }
    assert!(host("HTTP/1.0", &["x", "x"]).is_err());
    assert!(host("HTTP/1.0", &["a b"]).is_err());
}

/// Some mistakes have names of their own.
#[test]
fn mistakes_are_told_apart() {
    for (fields, why) in [
        ("Host: x\r\n folded", "a field is folded over two lines"),
        ("Host: x\r\n\tfolded", "a field is folded over two lines"),
        ("X", "a field has no colon"),
        ("X : y", "the name of a field is no word"),
        ("X: \0", "a field has a control character in it"),
        ("X: y", "the field Host is missing"),
        ("Host: a b", "the field Host names no host"),
        ("Host: x\r\nHost: x", "there is more than one Host"),
    ] {
        let (refused, _) = read(format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n").as_bytes());
        assert_eq!(refused.unwrap_err().why, why, "{fields:?}");
    }
}

// Where the body ends.

fn framing(version: &str, fields: &str) -> Result<Framing, &'static str> {
    let (head, _) = read(&with(&format!("POST / {version}"), fields));
    head.map(|head| head.framing).map_err(|refused| {
        assert!(!refused.why.is_empty());
        refused.status
    })
}

#[test]
fn a_length_is_a_number() {
    let length = |value: &str| framing("HTTP/1.1", &format!("Content-Length:{value}\r\n"));
    for (value, number) in [
        ("0", 0),
        ("5", 5),
        (" 5 ", 5),
        ("005", 5),
        ("1073741824", 1 << 30),
    ] {
        assert_eq!(length(value), Ok(Framing::Length(number)), "{value}");
    }
    for bad in [
        "", "-5", "+5", "0x5", "5.0", "5e1", "5,5", "5, 5", "5 5", "five", "٥", "5\0", "5\x0c",
    ] {
        assert_eq!(length(bad), Err("400 Bad Request"), "{bad:?}");
    }
    let huge = "9".repeat(1000);
    for large in [
        "1073741825",
        "18446744073709551615",
        "18446744073709551616",
        &huge,
    ] {
        assert_eq!(length(large), Err("413 Content Too Large"), "{large}");
    }
}

#[test]
fn there_is_one_end() {
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        assert_eq!(framing(version, ""), Ok(Framing::Length(0)));
        for bad in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5\r\ncontent-length: 5\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n",
            "Transfer-Encoding:\r\nContent-Length: 5\r\n",
        ] {
            assert_eq!(framing(version, bad), Err("400 Bad Request"), "{bad}");
        }
    }
}

/// RFC 9112, section 6.3: a body whose last coding is not chunked has no end, and
/// that is the client's mistake; section 6.1: one that has an end, and codings
/// that are not known, is beyond the server.
#[test]
fn codings_are_chunked_alone() {
    let coding = |value: &str| framing("HTTP/1.1", &format!("Transfer-Encoding:{value}\r\n"));
    for good in ["chunked", " Chunked ", "CHUNKED"] {
        assert_eq!(coding(good), Ok(Framing::Chunked), "{good}");
    }
    let twice = "chunked\r\nTransfer-Encoding: chunked";
    for beyond in [
        "gzip, chunked",
        "gzip,chunked",
        "chunked, chunked",
        "gzip\r\nTransfer-Encoding: chunked",
        twice,
    ] {
        assert_eq!(coding(beyond), Err("501 Not Implemented"), "{beyond}");
    }
    let after = "chunked\r\nTransfer-Encoding: gzip";
    for bad in [
        "",
        "gzip",
        "identity",
        "chunked, gzip",
        "chunked;q=1",
        "xchunked",
        "chunkedx",
        "\"chunked\"",
        after,
    ] {
        assert_eq!(coding(bad), Err("400 Bad Request"), "{bad}");
    }
    // RFC 9110, section 5.6.1.2, has recipients pass over members without bytes. Here
    // each server on the way must see the same end, and most take no such list: nginx
    // 1.22 answers 501 to all three, hyper 1 takes the first alone.
    for (empty, status) in [
        (",chunked", "501 Not Implemented"),
        (", chunked,", "400 Bad Request"),
        ("chunked,", "400 Bad Request"),
    ] {
        assert_eq!(coding(empty), Err(status), "{empty}");
    }
    for bad in ["chunked\x0c", "\x0bchunked", "chunked\0"] {
        assert_eq!(coding(bad), Err("400 Bad Request"), "{bad:?}");
    }
    let bad = framing("HTTP/1.0", "Transfer-Encoding: chunked\r\n");
    assert_eq!(bad, Err("400 Bad Request"));
}

#[test]
fn expectations_are_of_http_1_1() {
    let expects = |version: &str, value: &str| {
        let fields = format!("Expect: {value}\r\nContent-Length: 5\r\n");
        parse(with(&format!("POST / {version}"), &fields)).expects_continue()
    };
    assert!(expects("HTTP/1.1", "100-continue"));
    assert!(expects("HTTP/1.1", "100-Continue"));
    assert!(!expects("HTTP/1.0", "100-continue"));
    assert!(!expects("HTTP/1.1", "200-ok"));
    assert!(!expects("HTTP/1.1", ""));
    // It is a list, on as many lines as the client likes.
    for value in [
        "100-continue, a=b",
        "a=b, 100-continue",
        "a=b,100-CONTINUE,c",
        ", ,100-continue ,",
        "100-continue\r\nExpect: a=b",
        "a=b\r\nExpect: 100-continue",
        "\r\nExpect: c, 100-continue\r\nExpect: d",
        "100-continue\r\nexpect: 100-continue",
        "a=\"x, y\", 100-continue",
        "a=\"\\\", y\", 100-continue",
    ] {
        assert!(expects("HTTP/1.1", value), "{value:?}");
        assert!(!expects("HTTP/1.0", value), "{value:?}");
    }
    for value in [
        "100-continue=1",
        "100-continue;q=1",
        "100-continued",
        "a=\"x, 100-continue, y\"",
        "a=\"\\\", 100-continue, y\"",
        "a b 100-continue",
    ] {
        assert!(!expects("HTTP/1.1", value), "{value:?}");
    }
    assert!(!parse(with("GET / HTTP/1.1", "")).expects_continue());
}

#[test]
fn a_list_may_stand_on_many_lines() {
    let list = |fields: &str, name: &str| {
        let head = parse(with("GET / HTTP/1.1", fields));
        let members = head.list(name).map(<[u8]>::to_vec).collect::<Vec<_>>();
        members.join(&b"|"[..])
    };
    let fields = "Connection: close, X-A\r\nconnection:\r\nCONNECTION: ,\"a, \\\"b\",\tTE ,\r\n";
    assert_eq!(list(fields, "Connection"), b"close|X-A|\"a, \\\"b\"|TE");
    assert_eq!(list(fields, "Upgrade"), b"");
}

/// RFC 9110, section 5.3: what is no list cannot be joined.
#[test]
fn a_field_of_one_value_is_there_once() {
    for (name, one, other) in [
        ("Authorization", "Basic eDp5", "Basic eTp4"),
        ("Content-Location", "/a", "/b"),
        ("Content-Range", "bytes 0-1/2", "bytes 1-1/2"),
        ("Content-Type", "text/plain", "text/html"),
        ("Date", "Tue, 24 Nov 2026 20:03:31 GMT", "x"),
        ("Depth", "0", "1"),
        ("Destination", "/a", "/b"),
        ("From", "a", "b"),
        ("If-Modified-Since", "Tue, 24 Nov 2026 20:03:31 GMT", "x"),
        ("If-Range", "\"a\"", "\"b\""),
        ("If-Unmodified-Since", "Tue, 24 Nov 2026 20:03:31 GMT", "x"),
        ("Lock-Token", "<a>", "<b>"),
        ("Max-Forwards", "1", "2"),
        ("Origin", "null", "http://x"),
        ("Overwrite", "T", "F"),
        ("Proxy-Authorization", "a", "b"),
        ("Range", "bytes=0-1", "bytes=2-3"),
        ("Referer", "/a", "/b"),
        ("User-Agent", "a", "b"),
    ] {
        let lower = name.to_lowercase();
        let once = format!("{name}: {one}\r\n");
        assert!(read(&with("GET / HTTP/1.1", &once)).0.is_ok(), "{name}");
        for twice in [
            format!("{name}: {one}\r\n{lower}: {other}\r\n"),
            format!("{lower}: {one}\r\nX: between\r\n{name}: {one}\r\n"), // equal ones too
            format!("{name}:\r\n{name}: {one}\r\n"),
        ] {
            let (refused, _) = read(&with("GET / HTTP/1.1", &twice));
            let wanted = "400 Bad Request: a field that has one value is there twice";
            assert_eq!(refused.expect_err(&twice).to_string(), wanted, "{twice:?}");
        }
    }
}

/// The method is known as soon as its word is there, whatever is wrong behind it.
#[test]
fn a_refusal_knows_of_head() {
    let long = "x".repeat(MAX_HEAD);
    for (rest, why) in [
        (" / HTTP/1.1\r\n\r\n", "the field Host is missing"),
        (
            " / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "the field Host names no host",
        ),
        (
            " / HTTP/2.0\r\n\r\n",
            "this server speaks HTTP/1.0 and HTTP/1.1",
        ),
        ("\r\n\r\n", "the first line is not of three words"),
        (
            "  / HTTP/1.1\r\n\r\n",
            "the first line is not of three words",
        ),
        (" /", "the head breaks off"),
        ("", "the head breaks off"),
        (
            &format!(" /{long}"),
            "the first line is longer than this server takes",
        ),
        (
            &format!(" / HTTP/1.1\r\nX: {long}"),
            "the head is longer than this server takes",
        ),
        (
            &format!(
                " / HTTP/1.1\r\n{}\r\n",
                "X: y\r\n".repeat(LIMITS.max_fields + 1)
            ),
            "the head is longer than this server takes",
        ),
    ] {
        for (word, head_only) in [
            ("HEAD", true),
            ("\r\n\nHEAD", true),
            ("GET", false),
            ("HEADS", false),
            ("head", false),
        ] {
            let (refused, _) = read(format!("{word}{rest}").as_bytes());
            let refused = refused.expect_err(why);
            assert_eq!(
                (refused.why, refused.head_only),
                (why, head_only),
                "{word:?}"
            );
        }
    }
}

// The environ.

#[test]
fn the_environ_of_a_request_is_whole() {
    let head = "POST /a/b?c=d HTTP/1.1\r\nHost: localhost:8888\r\nContent-Type: text/plain\r\n\
                Content-Length: 5\r\nAccept-Language: en\r\n\r\n";
    let environ = environ(head);
    let mut variables: Vec<(&str, &str)> = environ
        .variables()
        .map(|(name, value)| (name, std::str::from_utf8(value).unwrap()))
        .collect();
    variables.sort();
    let wanted = [
        ("CONTENT_LENGTH", "5"),
        ("CONTENT_TYPE", "text/plain"),
        ("HTTP_ACCEPT_LANGUAGE", "en"),
        ("HTTP_HOST", "localhost:8888"),
        ("PATH_INFO", "/a/b"),
        ("QUERY_STRING", "c=d"),
        ("REQUEST_METHOD", "POST"),
        ("SCRIPT_NAME", ""),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
    ];
    assert_eq!(variables, wanted);
    assert_eq!((environ.version, environ.url_scheme), ((1, 0), "http"));
    assert!(!environ.multithread && !environ.multiprocess && !environ.run_once);
}

#[test]
fn the_input_is_the_one_that_was_given() {
    let mut environ = parse(with("GET / HTTP/1.1", "")).environ(Box::new(&b"input"[..]));
    let mut text = String::new();
    environ.input.read_to_string(&mut text).unwrap();
    assert_eq!(text, "input");
}

#[test]
fn the_path_is_decoded_and_apart_from_the_query() {
    for (target, path, query) in [
        ("/", "/", ""),
        ("/?", "/", ""),
        ("/a%20b", "/a b", ""),
        ("/a+b", "/a+b", ""),
        ("/%2F%2f", "///", ""),
        ("/a%3Fb?c%3Fd=%20", "/a?b", "c%3Fd=%20"),
        ("/a?b?c", "/a", "b?c"),
        ("/%C3%A9", "/é", ""),
        ("/%zz%4", "/%zz%4", ""),
        ("/%2541", "/%41", ""), // once, not until nothing is left to decode
        ("/a/../b/./c//d", "/a/../b/./c//d", ""),
        ("//x/y", "//x/y", ""),
    ] {
        assert_eq!(of_target(target, "PATH_INFO"), path, "{target}");
        assert_eq!(of_target(target, "QUERY_STRING"), query, "{target}");
        assert_eq!(of_target(target, "SCRIPT_NAME"), "", "{target}");
    }
    let environ = environ(with("GET /%ff%00 HTTP/1.1", ""));
    assert_eq!(environ.get("PATH_INFO"), Some(&b"/\xff\0"[..]));
}

/// RFC 9112, section 3.2.2: the URI names the host, whatever Host says.
#[test]
fn a_whole_uri_names_the_host() {
    for (target, host, path, query) in [
        ("http://there:80/a%20b?c", "there:80", "/a b", "c"),
        ("HTTP://there", "there", "/", ""),
        ("http://there?c=/d", "there", "/", "c=/d"),
        ("http://[::1]:80/", "[::1]:80", "/", ""),
        ("https://there/a", "there", "/a", ""),
        ("HTTPS://there?c", "there", "/", "c"),
    ] {
        assert_eq!(of_target(target, "HTTP_HOST"), host, "{target}");
        assert_eq!(of_target(target, "PATH_INFO"), path, "{target}");
        assert_eq!(of_target(target, "QUERY_STRING"), query, "{target}");
    }
    assert_eq!(of_target("/http://there/", "HTTP_HOST"), "localhost");
    // But not that the connection is safe: the client may write what it likes.
    let environ = environ(with("GET https://there/ HTTP/1.1", ""));
    assert_eq!(environ.url_scheme, "http");
}

/// It asks about the server, and about no path.
#[test]
fn options_of_everything_has_no_path() {
    let environ = environ(with("OPTIONS * HTTP/1.1", ""));
    assert_eq!(environ.get("PATH_INFO"), Some(&b""[..]));
    assert_eq!(
        environ.text("REQUEST_METHOD").unwrap_or_default(),
        "OPTIONS"
    );
    assert_eq!(of_target("/*", "PATH_INFO"), "/*");

    // RFC 9112, section 3.2.4: a whole URI with neither a path nor a query is `*`.
    for (target, path) in [("", ""), (":80", ""), ("/", "/"), ("?", "/"), ("?a=b", "/")] {
        let options = with(&format!("OPTIONS http://x{target} HTTP/1.1"), "");
        let options = super::head::environ(options);
        assert_eq!(options.text("PATH_INFO").as_deref(), Some(path), "{target}");
        let get = format!("http://x{target}");
        assert_eq!(of_target(&get, "PATH_INFO"), "/", "{target}");
    }
}

#[test]
fn repeated_fields_are_joined() {
    let fields = "Accept: a\r\nCookie: a=1\r\nX: 1\r\nACCEPT: b, c\r\ncookie: b=2\r\n";
    let environ = environ(with("GET / HTTP/1.1", fields));
    assert_eq!(environ.text("HTTP_ACCEPT").unwrap_or_default(), "a, b, c");
    assert_eq!(environ.text("HTTP_COOKIE").unwrap_or_default(), "a=1; b=2");
    assert_eq!(environ.text("HTTP_X").unwrap_or_default(), "1");
}

#[test]
fn the_type_and_the_length_have_no_http() {
    let fields = "content-type: text/plain\r\nCONTENT-LENGTH: 5\r\n";
    let environ = environ(with("POST / HTTP/1.1", fields));
    assert_eq!(
        environ.text("CONTENT_TYPE").unwrap_or_default(),
        "text/plain"
    );
    assert_eq!(environ.text("CONTENT_LENGTH").unwrap_or_default(), "5");
    assert_eq!(environ.get("HTTP_CONTENT_TYPE"), None);
    assert_eq!(environ.get("HTTP_CONTENT_LENGTH"), None);
}

/// Where the bodies end is not the application's business, and whoever writes
/// `X_User` does not pass for `X-User`.
#[test]
fn some_fields_are_left_out() {
    let fields = "Transfer-Encoding: chunked\r\nX_User: root\r\nX-Us_er: root\r\nX-User: me\r\n\
                  Content_Length: 7\r\nContent_Type: text/html\r\n";
    let environ = environ(with("POST / HTTP/1.1", fields));
    let mut names: Vec<&str> = environ.variables().map(|(name, _)| name).collect();
    names.sort();
    let wanted = [
        "HTTP_HOST",
        "HTTP_X_USER",
        "PATH_INFO",
        "QUERY_STRING",
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "SERVER_PROTOCOL",
    ];
    assert_eq!(names, wanted);
    assert_eq!(environ.text("HTTP_X_USER").unwrap_or_default(), "me");
}

/// No field takes the place of a variable that the server sets.
#[test]
fn a_field_is_no_other_variable() {
    let fields = "Path-Info: /x\r\nRequest-Method: PUT\r\nScript-Name: /y\r\nPath_Info: /z\r\n";
    let environ = environ(with("GET / HTTP/1.1", fields));
    assert_eq!(environ.text("PATH_INFO").unwrap_or_default(), "/");
    assert_eq!(environ.text("REQUEST_METHOD").unwrap_or_default(), "GET");
    assert_eq!(environ.text("HTTP_PATH_INFO").unwrap_or_default(), "/x");
}

#[test]
fn variables_can_be_set_and_taken_away() {
    let mut environ = Environ::testing_defaults();
    environ.set("course.user", "me");
    assert_eq!(environ.get("course.user"), Some(&b"me"[..]));
    assert_eq!(environ.remove("course.user"), Some(b"me".to_vec()));
    assert_eq!(environ.get("course.user"), None);
    assert_eq!(environ.text("course.user"), None);
    environ.set("course.user", &b"m\xff"[..]);
    assert_eq!(environ.text("course.user").as_deref(), Some("m\u{fffd}"));
}

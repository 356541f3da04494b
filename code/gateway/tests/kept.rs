//! An application behind the machine: what a loop does with a connection.

use crate::common::Wire;
use gateway::http::Limits;
use gateway::http1::{Event, Machine, Patience};
use gateway::{Body, Environ, Error, Responding, StartResponse};
use std::io::Cursor;
use std::time::Instant;

/// What is sent on a connection that brings these bytes, and whether it is kept.
fn served(bytes: &str) -> (String, bool) {
    let app = |environ: Environ, mut start_response: StartResponse| -> gateway::Result<Body> {
        start_response.start("200 OK", vec![("Date".into(), b"-".to_vec())])?;
        let path = environ.text("PATH_INFO").unwrap_or_default();
        let chunk = |text: &str| Ok::<_, Error>(text.as_bytes().to_vec());
        Ok(match &*path {
            "/whole" => Body::from("Hello"),
            "/fails" => Body::new([chunk("half"), Err("no more".into())]),
            _ => Body::new([chunk("one"), chunk("two")]),
        })
    };
    let wire = Wire::default();
    let now = Instant::now();
    let mut machine = Machine::new(&Limits::DEFAULT, &Patience::DEFAULT, now);
    let mut bytes = bytes.as_bytes();
    let (mut environ, mut body) = (None, Vec::new());
    loop {
        let (used, event) = machine.read(bytes, now);
        bytes = &bytes[used..];
        match event {
            Event::Head(head) => environ = Some(head.environ(Box::new(std::io::empty()))),
            Event::Body(piece) => body.extend_from_slice(piece),
            Event::End(_) => {
                let mut environ = environ.take().unwrap();
                environ.input = Box::new(Cursor::new(std::mem::take(&mut body)));
                let answer = machine.answer().unwrap();
                let mut responding = Responding::begin(&app, environ, wire.clone(), answer);
                while responding.step() {}
                let (_, answer, _) = responding.end();
                machine.answered(answer, now);
            }
            Event::More => return (wire.text(), true),
            _ => return (wire.text(), false),
        }
    }
}

#[test]
fn applications_behind_the_machine() {
    let chunks = "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n";
    let ok = "HTTP/1.1 200 OK\r\nDate: -\r\n";
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let whole = format!("{ok}Content-Length: 5\r\n\r\nHello");
    assert_eq!(served(&get("/whole")), (whole.clone(), true));
    assert_eq!(served(&get("/")), (format!("{ok}{chunks}"), true));
    let three = [get("/whole"), get("/"), get("/whole")].concat();
    assert_eq!(
        served(&three),
        (format!("{whole}{ok}{chunks}{whole}"), true)
    );
    // Half an answer is seen to be one, and nothing comes behind it.
    let half = format!("{ok}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    assert_eq!(
        served(&[get("/fails"), get("/whole")].concat()),
        (half, false)
    );
    let old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(
        served(old),
        (format!("{ok}Connection: close\r\n\r\nonetwo"), false)
    );
    let old = "GET /whole HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let kept = format!("{ok}Content-Length: 5\r\nConnection: keep-alive\r\n\r\nHello");
    assert_eq!(served(old), (kept, true));
    let head = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(served(head), (format!("{ok}\r\n"), true));
}

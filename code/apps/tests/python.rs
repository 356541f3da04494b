//! What no server of the course does to an application of Python's, and another
//! might.

use gateway::{respond, Environ, Outcome};
use std::io::{self, BufRead, Read, Write};
use std::sync::{Arc, Mutex};

/// Panics when it is read, or written to.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("a bug in the input");
    }
}

impl BufRead for Broken {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        panic!("a bug in the input");
    }

    fn consume(&mut self, _: usize) {}
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        panic!("a bug in the output");
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const MODULE: &str = "
closed = []

class Body:
    def __init__(self, chunks):
        self.chunks = chunks
    def __iter__(self):
        return iter(self.chunks)
    def close(self):
        closed.append(1)

def start(start_response):
    return start_response('200 OK', [('Content-Type', 'text/plain')])

def reads(environ, start_response):
    start(start_response)
    def chunks():
        yield environ['wsgi.input'].read()
    return Body(chunks())

def logs(environ, start_response):
    environ['wsgi.errors'].write('text')
    return []

def returns(environ, start_response):
    start(start_response)
    return Body([b'bytes'])

def says(environ, start_response):
    start(start_response)
    return [repr(len(closed)).encode()]
";

fn body(outcome: &Outcome, output: &Output) -> String {
    let bytes = output.0.lock().unwrap();
    String::from_utf8_lossy(&bytes[outcome.head.len()..]).into_owned()
}

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A panic of Rust's under Python's feet passes through Python as an exception and
/// comes out as a panic, which the gateway knows. Whatever was locked when it came
/// still works.
#[test]
fn a_panic_below_python_is_an_error_above_it() {
    let folder = std::env::temp_dir().join(format!("course-panics-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("panics.py"), MODULE).unwrap();
    std::env::set_current_dir(&folder).unwrap();
    let load = |name: &str| apps::load(name).unwrap_or_else(|error| panic!("{error}"));
    let [reads, logs] = ["panics:reads", "panics:logs"].map(load);
    let [returns, says] = ["panics:returns", "panics:says"].map(load);
    std::fs::remove_dir_all(&folder).unwrap();

    for closed in ["1", "3"] {
        let environ = Environ::testing_defaults;
        // With a length it is read when the body asks for it; without, beforehand.
        let mut reading = environ();
        reading.set("CONTENT_LENGTH", "5");
        reading.input = Box::new(Broken);
        let mut ahead = environ();
        ahead.input = Box::new(Broken);
        let mut logging = environ();
        logging.errors = Box::new(Broken);
        for outcome in [
            respond(&reads, reading, io::sink()),
            respond(&reads, ahead, io::sink()),
            respond(&logs, logging, io::sink()),
        ] {
            let error = outcome.error.expect("it has failed").to_string();
            assert_eq!(error, "the application panicked");
            assert!(outcome.head.starts_with(b"HTTP/1.1 500 "));
        }

        let output = Output::default();
        let outcome = respond(&says, environ(), output.clone());
        assert_eq!(body(&outcome, &output), closed);
        respond(&returns, environ(), output);
    }
}

//! The types of the interface, apart from any request.

use crate::common::{field, run, split, Wire};
use gateway::http::{Framing, Limits, RequestBody};
use gateway::{access_log, headers, respond, validator, Application, Body, Environ, Failure};
use gateway::{Result, Side, StartResponse};
use std::io::{self, Read};
use std::sync::atomic::{AtomicU32, Ordering};

// Applications.

/// A struct with a `call` is one, under middleware and in a box as well.
#[test]
fn a_struct_is_an_application() {
    #[derive(Default)]
    struct Counter(AtomicU32);
    impl Application for Counter {
        fn call(&self, _: Environ, mut start_response: StartResponse) -> Result<Body> {
            let visit = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            start_response.start("200 OK", headers([("Content-Type", "text/plain")]))?;
            Ok(Body::from(format!("visit {visit}")))
        }
    }
    let boxed: Box<dyn Application + Send + Sync> = Box::new(Counter::default());
    let app = validator(access_log(boxed, io::sink()));
    for visit in ["visit 1", "visit 2"] {
        let wire = Wire::default();
        let outcome = respond(&app, Environ::testing_defaults(), wire.clone());
        assert!(outcome.error.is_none());
        assert_eq!(split(&wire.text()).2, visit);
    }
}

/// Also the middleware of the library, around one that may be.
#[test]
fn an_application_may_be_shared_between_threads() {
    fn shared(application: impl Application + Send + Sync) {
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    let outcome = respond(&application, Environ::testing_defaults(), io::sink());
                    assert!(outcome.error.is_none() && outcome.body == 5);
                });
            }
        });
    }
    let app = gateway::application(|_, mut start_response| {
        start_response.start("200 OK", headers([("Content-Type", "text/plain")]))?;
        Ok(Body::from("hello"))
    });
    shared(validator(access_log(app, io::sink())));
}

// Bodies.

#[test]
fn a_body_comes_from_text_or_bytes_or_chunks() {
    let all = |body: Body| -> Vec<u8> { body.flat_map(Result::unwrap).collect() };
    for body in [
        Body::from("text"),
        Body::from("text".to_string()),
        Body::from(b"text".to_vec()),
        Body::from(&b"text"[..]),
        Body::from(b"text"),
        "text".into(),
    ] {
        assert_eq!(body.length(), Some(4));
        assert_eq!(all(body), b"text");
    }
    let body = Body::new(["te", "xt"].map(|chunk| Ok(chunk.into())));
    assert_eq!(body.length(), None);
    assert_eq!(all(body), b"text");
    assert_eq!(Body::empty().length(), Some(0));
    assert!(Body::empty().next().is_none());
}

/// It is the length of what is still to come.
#[test]
fn a_length_shrinks_with_each_chunk() {
    let mut body = Body::new(["te", "xt"].map(|chunk| Ok(chunk.into()))).with_length(4);
    let mut lengths = vec![body.length()];
    while body.next().is_some() {
        lengths.push(body.length());
    }
    assert_eq!(lengths, [Some(4), Some(2), Some(0)]);
}

/// Middleware does not lose a length by looking at the chunks.
#[test]
fn a_wrapper_keeps_the_length() {
    let app = gateway::application(|_, mut start_response| {
        start_response.start("200 OK", Vec::new())?;
        let body = Body::new(["te", "xt"].map(|chunk| Ok(chunk.into()))).with_length(4);
        Ok(body
            .wrapped(|body| body.filter(|_| true))
            .wrapped(|body| body.inspect(|_| {})))
    });
    let (answer, outcome) = run(app);
    assert_eq!(field(&answer, "Content-Length"), Some("4"));
    assert_eq!(split(&answer).2, "text");
    assert!(outcome.error.is_none());
}

// Environs.

#[test]
fn text_tells_missing_from_empty() {
    let mut environ = Environ::testing_defaults();
    environ.set("HTTP_X", b"\xff");
    assert_eq!(environ.text("QUERY_STRING").as_deref(), Some(""));
    assert_eq!(environ.text("HTTP_X").as_deref(), Some("\u{fffd}"));
    assert_eq!(environ.text("HTTP_Y"), None);
}

#[test]
fn a_variable_is_set_and_taken_away() {
    let mut environ = Environ::testing_defaults();
    for value in ["/a", "/longer", ""] {
        environ.set("PATH_INFO", value);
        assert_eq!(environ.get("PATH_INFO"), Some(value.as_bytes()));
    }
    let named = |environ: &Environ| {
        let variables = environ.variables();
        variables.filter(|(name, _)| *name == "PATH_INFO").count()
    };
    assert_eq!(named(&environ), 1);
    environ.set("PATH_INFO", "/gone");
    assert_eq!(environ.remove("PATH_INFO"), Some(b"/gone".to_vec()));
    assert_eq!(environ.remove("PATH_INFO"), None);
    assert_eq!((environ.get("PATH_INFO"), named(&environ)), (None, 0));
    assert_eq!(environ.get("HTTP_HOST"), Some(&b"127.0.0.1"[..]));
}

/// One value of each type, which comes through the middleware of the library.
#[test]
fn middleware_leaves_extensions() {
    #[derive(Debug, PartialEq)]
    struct User(&'static str);
    let app = validator(access_log(
        |environ: Environ, mut start_response: StartResponse| {
            assert_eq!(environ.extension::<User>(), Some(&User("Ada")));
            assert_eq!(environ.extension::<u32>(), Some(&7));
            assert_eq!(environ.extension::<i32>(), None);
            start_response.start("204 No Content", Vec::new())?;
            Ok(Body::empty())
        },
        io::sink(),
    ));
    let mut environ = Environ::testing_defaults();
    environ.insert(User("nobody"));
    environ.insert(7_u32);
    environ.insert(User("Ada"));
    assert!(respond(&app, environ, io::sink()).error.is_none());
}

// Failures.

/// Whose affair it is that a request has failed.
#[test]
fn a_failure_says_whose_it_is() {
    type App = fn(Environ, StartResponse) -> Result<Body>;
    let failure = |app: App, patience: Option<usize>| {
        let mut environ = Environ::testing_defaults();
        let input = RequestBody::new(&b"123"[..], Framing::Length(5), &Limits::DEFAULT);
        environ.input = Box::new(input);
        let outcome = respond(&app, environ, Wire::patient(patience));
        outcome.error.expect("it fails")
    };
    let kind = |app, patience| match failure(app, patience) {
        Failure::Refused(_) => "the request",
        Failure::ClientLeft(_) => "the client",
        Failure::Broken(broken) if broken.side == Side::Application => "a rule: application",
        Failure::Broken(_) => "a rule: server",
        Failure::Failed(_) => "the application",
        Failure::Panicked => "a panic",
    };
    let says: App = |_, mut start_response| {
        start_response.start("200 OK", Vec::new())?;
        Ok(Body::from("text"))
    };
    let deaf: App = |_, mut start_response| {
        let mut write = start_response.start("200 OK", Vec::new())?;
        let _ = write.send(b"anybody?");
        Err("it gave up".into())
    };
    let reads: App = |mut environ, _| {
        environ.input.read_to_end(&mut Vec::new())?;
        Ok(Body::empty())
    };
    assert_eq!(kind(says, Some(0)), "the client");
    assert_eq!(kind(deaf, Some(0)), "the client");
    assert_eq!(kind(deaf, None), "the application");
    assert_eq!(kind(reads, None), "the request");
    assert_eq!(kind(|_, _| Ok(Body::empty()), None), "a rule: application");
    assert_eq!(kind(|_, _| panic!("as the test wants"), None), "a panic");

    let mut nameless = Environ::testing_defaults();
    nameless.remove("SERVER_NAME");
    let outcome = respond(&validator(says), nameless, io::sink());
    let error = outcome.error.expect("a rule is broken");
    assert!(matches!(error, Failure::Broken(broken) if broken.side == Side::Server));
}

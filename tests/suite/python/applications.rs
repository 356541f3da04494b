//! The applications of the course.

use super::{output_of_python, text, webserver2, FORKING, ONE, OURS, STAYING};
use std::process::Command;
use tests::answer::Answer;
use tests::client::End;
use tests::python::{can_check, environment, Site, Visitor};
use tests::server::run_to_end;

#[test]
fn our_applications_one_at_a_time() {
    if can_check("our applications under webserver2") {
        for application in OURS.iter().flatten() {
            visit(ONE, application);
        }
    }
}

#[test]
fn our_applications_in_forked_processes() {
    if can_check("our applications in forked processes") {
        for application in OURS.iter().flatten() {
            visit(FORKING, application);
        }
    }
}

#[test]
fn our_applications_in_processes_that_stay() {
    if can_check("our applications in processes that stay") {
        for application in OURS.iter().flatten() {
            visit(STAYING, application);
        }
    }
}

#[test]
fn our_applications_inside_our_own_validator() {
    if can_check("our applications inside our own validator") {
        for [application, _] in OURS {
            visit(ONE, &format!("validator:{application}"));
        }
    }
}

/// Visits what all four have: a page, a form, a cookie, and nothing.
fn visit(program: &str, application: &str) {
    let site = Site::new();
    let server = site.serve(program, &[application]);
    let mut visitor = Visitor::new(&server);
    let context = || format!("{program} {application}: {}", server.errors());

    let hello = visitor.get("/hello");
    assert_eq!(hello.status, "200 OK", "{}", context());
    assert!(hello.text().starts_with("Hello world from "), "{hello:?}");
    assert_eq!(hello.end, End::Closed);
    if !application.starts_with("checked") {
        let length = hello.body.len().to_string();
        assert_eq!(hello.field("Content-Length"), Some(length.as_str()));
    }

    let head = visitor.ask("HEAD", "/hello", &[], b"");
    assert_eq!(text(&head), ("200 OK", String::new()), "{}", context());

    // Django wants to know that the form is its own.
    visitor.get("/greet");
    let token = visitor.cookie("csrftoken").unwrap_or_default().to_string();
    let form = [
        ("csrfmiddlewaretoken", token.as_str()),
        ("name", "Ada & Zoë"),
    ];
    let greeting = visitor.post("/greet", &form);
    assert_eq!(greeting.status, "200 OK", "{}", context());
    let html = greeting
        .text()
        .replace("&amp;", "&")
        .replace("\\u00eb", "ë");
    assert!(html.contains("Ada & Zoë"), "{html}");

    for visit in ["1", "2", "3"] {
        let visits = visitor.get("/visits");
        assert!(visits.text().contains(visit), "{visits:?} {}", context());
    }
    let missing = visitor.get("/no/such/page");
    let said = (
        "404 NOT FOUND", // as Flask spells it
        "There is no /no/such/page here.\n".to_string(),
    );
    let status = missing.status.to_uppercase();
    assert_eq!((status.as_str(), missing.text()), said, "{}", context());
    assert_eq!(server.errors_when_idle(), "", "{program} {application}");
}

#[test]
fn a_project_of_djangos_under_its_own_name() {
    if !can_check("helloworld.wsgi:application") {
        return;
    }
    let (_site, server) = webserver2("helloworld.wsgi:application");
    let hello = Visitor::new(&server).get("/hello");
    assert_eq!(
        text(&hello),
        ("200 OK", "Hello world from Django!\n".to_string())
    );
}

/// The session is in the database, and each request in another process.
#[test]
fn djangos_admin_and_its_sessions() {
    if !can_check("Django's admin") {
        return;
    }
    for (program, arguments) in [
        (ONE, &["djangoapp:app"][..]),
        (FORKING, &["djangoapp:app"]),
        (FORKING, &["djangoapp:app", "--warm", "/hello"]),
    ] {
        let site = Site::new();
        let server = site.serve(program, arguments);
        let mut create = Command::new(environment().join("bin/python"));
        create
            .current_dir(&site.folder)
            .args(["manage.py", "createsuperuser"]);
        create.args([
            "--noinput",
            "--username",
            "ada",
            "--email",
            "ada@example.com",
        ]);
        create.env("DJANGO_SUPERUSER_PASSWORD", "analytical");
        let (code, _, errors) = run_to_end(&mut create);
        assert_eq!(code, Some(0), "{errors}");

        let mut visitor = Visitor::new(&server);
        let page = visitor.get("/admin/login/");
        assert!(page.text().contains("Django administration"), "{page:?}");
        let token = visitor
            .cookie("csrftoken")
            .expect("Django sets it")
            .to_string();
        let fields = [
            ("csrfmiddlewaretoken", token.as_str()),
            ("username", "ada"),
            ("password", "analytical"),
            ("next", "/admin/"),
        ];
        let login = visitor.post("/admin/login/", &fields);
        assert_eq!(login.status, "302 Found", "{}", server.errors());
        assert!(visitor
            .get("/admin/")
            .text()
            .contains("Site administration"));

        let token = visitor
            .cookie("csrftoken")
            .expect("Django sets it")
            .to_string();
        let fields = [
            ("csrfmiddlewaretoken", token.as_str()),
            ("name", "Engineers"),
        ];
        let added = visitor.post("/admin/auth/group/add/", &fields);
        assert_eq!(added.status, "302 Found", "{added:?}");
        assert!(visitor
            .get("/admin/auth/group/")
            .text()
            .contains("Engineers"));

        // A file, by way of wsgi.file_wrapper.
        let style = visitor.get("/static/admin/css/base.css");
        let length = style.body.len().to_string();
        assert_eq!(style.field("Content-Length"), Some(length.as_str()));
        assert!(style.body.len() > 10_000, "{}", style.status);
        assert!(Visitor::new(&server)
            .get("/admin/")
            .status
            .starts_with("302"));
    }
}

/// Which variables of the environ our applications need for a page that says Hello.
#[test]
fn what_each_cannot_do_without() {
    if !can_check("applications without a variable") {
        return;
    }
    let (_site, server) = webserver2("probes:environ");
    let environ = Visitor::new(&server).get("/").json();
    let names: Vec<&String> = environ.as_object().expect("a dict").keys().collect();
    assert!(names.len() >= 19, "{names:?}");
    for (application, missed) in [
        (
            "without:flask",
            &[
                ("PATH_INFO", "404 NOT FOUND"),
                ("REQUEST_METHOD", "500 Internal Server Error"),
                ("wsgi.url_scheme", "500 Internal Server Error"),
            ][..],
        ),
        (
            "without:pyramid",
            &[
                ("PATH_INFO", "500 Internal Server Error"),
                ("REQUEST_METHOD", "500 Internal Server Error"),
            ],
        ),
        (
            "without:django",
            &[
                ("PATH_INFO", "404 Not Found"),
                ("REQUEST_METHOD", "500 Internal Server Error"),
                ("wsgi.input", "500 Internal Server Error"),
            ],
        ),
    ] {
        let (_site, server) = webserver2(application);
        for name in &names {
            let answer = Visitor::new(&server).get(&format!("/hello?{name}"));
            let missed = missed.iter().find(|(missed, _)| missed == name);
            let status = missed.map_or("200 OK", |(_, status)| status);
            assert_eq!(answer.status, status, "{application} without {name}");
        }
        // Nor is a Host needed, but by Django, which then asks for the server's name.
        let status = |path: &str| {
            let mut client = server.connect();
            client.send(format!("GET {path} HTTP/1.0\r\n\r\n"));
            Answer::read(&mut client).status
        };
        assert_eq!(status("/hello"), "200 OK", "{application}");
        for name in ["SERVER_NAME", "SERVER_PORT"] {
            let status = status(&format!("/hello?{name}"));
            match application {
                "without:django" => assert_eq!(status, "500 Internal Server Error", "{name}"),
                _ => assert_eq!(status, "200 OK", "{application} without {name}"),
            }
        }
    }
}

#[test]
fn an_environ_is_a_dict_and_nothing_like_one() {
    if !can_check("an environ that is like a dict") {
        return;
    }
    let site = Site::new();
    site.write("alike.py", "import without\nclass Alike(dict): pass\ndef alike(app):\n    return lambda environ, start: app(Alike(environ), start)\nflask, pyramid, django = map(alike, (without.flaskapp.app, without.pyramidapp.app, without.djangoapp.app))\n");
    for (application, status) in [
        ("alike:flask", "200 OK"),
        ("alike:pyramid", "500 Internal Server Error"),
        ("alike:django", "200 OK"),
    ] {
        let server = site.serve(ONE, &[application]);
        let answer = Visitor::new(&server).get("/hello");
        assert_eq!(answer.status, status, "{application}");
    }
}

#[test]
fn an_upload_of_ten_megabytes() {
    if !can_check("an upload to Flask") {
        return;
    }
    let content: Vec<u8> = (0..10_000_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut body =
        b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"data\"\r\n\r\n"
            .to_vec();
    body.extend_from_slice(&content);
    body.extend_from_slice(b"\r\n--edge--\r\n");
    let kind = ("Content-Type", "multipart/form-data; boundary=edge");
    for program in [ONE, FORKING] {
        for application in ["flaskapp:app", "checked:flask"] {
            let site = Site::new();
            let server = site.serve(program, &[application]);
            let answer = Visitor::new(&server).ask("POST", "/upload", &[kind], &body);
            let size = answer.json()["size"].as_u64();
            assert_eq!(size, Some(content.len() as u64), "{}", server.errors());
            let sum = answer.json()["sha256"].clone();
            let python =
                "import hashlib,sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())";
            assert_eq!(
                sum,
                output_of_python(python, &content),
                "{program} {application}"
            );
        }
    }
}

#[test]
fn a_form_without_a_length() {
    if !can_check("a form in chunks") {
        return;
    }
    let chunks = "4\r\nname\r\n4\r\n=Ada\r\n0\r\n\r\n";
    let form = "application/x-www-form-urlencoded";
    for application in [
        "flaskapp:app",
        "checked:flask",
        "validator:checked:flask",
        "pyramidapp:app",
        "checked:pyramid",
        "djangoapp:app",
        "checked:django",
    ] {
        let (_site, server) = webserver2(application);
        let mut visitor = Visitor::new(&server);
        visitor.get("/greet");
        let token = visitor.cookie("csrftoken").unwrap_or_default().to_string();
        let fields = [
            ("Transfer-Encoding", "chunked"),
            ("Content-Type", form),
            ("X-CSRFToken", &token),
        ];
        let mut client = server.connect();
        client
            .send(visitor.head("POST", "/greet", &fields, 0))
            .send(chunks);
        let greeting = Answer::read(&mut client).text();
        assert!(greeting.contains("Ada"), "{application}: {greeting}");
    }
}

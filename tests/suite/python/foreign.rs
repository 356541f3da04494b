//! Applications that nobody here has written.

use super::{FORKING, ONE};
use serde_json::json;
use std::process::Command;
use tests::left_out;
use tests::python::{can_check, environment, Site, Visitor};
use tests::server::{run_to_end, Server};

/// The blog of Flask's tutorial, from Flask's own source distribution.
#[test]
fn flasks_tutorial_blog() {
    if !can_check("Flask's tutorial blog") {
        return;
    }
    let source = environment().join("flaskr");
    if !source.is_dir() {
        return left_out(
            "Flask's tutorial blog",
            "target/venv/flaskr, which .ci/run takes from Flask's source distribution",
        );
    }
    for program in [ONE, FORKING] {
        let site = Site::empty();
        tests::python::copy(&source, &site.folder.join("flaskr"));
        let mut prepare = Command::new(environment().join("bin/flask"));
        prepare
            .current_dir(&site.folder)
            .args(["--app", "flaskr", "init-db"]);
        let (code, _, errors) = run_to_end(&mut prepare);
        assert_eq!(code, Some(0), "{errors}");

        let server = site.serve(program, &["flaskr:create_app()"]);
        let mut visitor = Visitor::new(&server);
        let account = [("username", "ada"), ("password", "analytical")];
        assert_eq!(
            visitor.post("/auth/register", &account).field("Location"),
            Some("/auth/login")
        );
        assert_eq!(
            visitor.get("/create").field("Location"),
            Some("/auth/login")
        );
        let wrong = visitor.post("/auth/login", &[("username", "ada"), ("password", "no")]);
        assert!(wrong.text().contains("Incorrect password."), "{wrong:?}");
        assert_eq!(
            visitor.post("/auth/login", &account).field("Location"),
            Some("/")
        );

        let article = [
            ("title", "On the <Engine>"),
            ("body", "It weaves algebraic patterns. \u{2713}"),
        ];
        let created = visitor.post("/create", &article);
        assert_eq!(created.field("Location"), Some("/"), "{}", server.errors());
        let page = visitor.get("/").text();
        assert!(page.contains("On the &lt;Engine&gt;"), "{page}");
        assert!(page.contains("algebraic patterns. \u{2713}"), "{page}");
        let edited = visitor.post(
            "/1/update",
            &[("title", "Notes"), ("body", "by the translator")],
        );
        assert_eq!(edited.field("Location"), Some("/"));
        assert!(Visitor::new(&server)
            .get("/")
            .text()
            .contains("by the translator"));
        assert_eq!(
            Visitor::new(&server)
                .post("/1/delete", &[])
                .field("Location"),
            Some("/auth/login")
        );
        assert!(visitor.get("/static/style.css").text().contains("html"));
        assert_eq!(server.errors_when_idle(), "", "{program}");
    }
}

/// A server for calendars.
#[test]
fn radicale() {
    if !can_check("Radicale") {
        return;
    }
    let site = Site::empty();
    site.write("users", "ada:analytical\n");
    site.write("config", "[auth]\ntype = htpasswd\nhtpasswd_filename = users\nhtpasswd_encryption = plain\ndelay = 0\n\n[storage]\nfilesystem_folder = calendars\n\n[logging]\nlevel = error\n");
    for program in [ONE, FORKING] {
        let mut command = site.command(program, &["radicale:application", "127.0.0.1:0"]);
        command.env("RADICALE_CONFIG", site.folder.join("config"));
        let server = Server::spawn(program, command).unwrap_or_else(|error| panic!("{error}"));
        let mut visitor = Visitor::new(&server);
        assert_eq!(
            visitor
                .ask("PROPFIND", "/ada/", &[("Depth", "0")], b"")
                .status,
            "401 Unauthorized"
        );
        visitor.authorization = Some("Basic YWRhOmFuYWx5dGljYWw=".to_string()); // ada:analytical

        let calendar = format!("/ada/{}/", program.replace('/', "-"));
        let made = visitor.ask("MKCALENDAR", &calendar, &[], b"");
        assert_eq!(made.status, "201 Created", "{}", server.errors());
        let event = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//course//EN\r\nBEGIN:VEVENT\r\nUID:tea\r\nDTSTAMP:20261124T160000Z\r\nDTSTART:20261124T160000Z\r\nDTEND:20261124T163000Z\r\nSUMMARY:Tea with Zo\u{eb}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let path = format!("{calendar}tea.ics");
        let stored = visitor.ask(
            "PUT",
            &path,
            &[("Content-Type", "text/calendar; charset=utf-8")],
            event.as_bytes(),
        );
        assert_eq!(stored.status, "201 Created", "{}", server.errors());
        let read = visitor.get(&path);
        assert!(
            read.text().contains("SUMMARY:Tea with Zo\u{eb}"),
            "{read:?}"
        );
        let etag = read.field("ETag").expect("Radicale gives one").to_string();

        let report = "<?xml version=\"1.0\"?><C:calendar-query xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\"><D:prop><D:getetag/><C:calendar-data/></D:prop><C:filter><C:comp-filter name=\"VCALENDAR\"><C:comp-filter name=\"VEVENT\"/></C:comp-filter></C:filter></C:calendar-query>";
        let found = visitor.ask(
            "REPORT",
            &calendar,
            &[("Depth", "1"), ("Content-Type", "application/xml")],
            report.as_bytes(),
        );
        assert_eq!(found.status, "207 Multi-Status");
        assert!(
            found.text().contains("Tea with Zo\u{eb}")
                && found.text().contains(etag.trim_matches('"')),
            "{}",
            found.text()
        );
        assert_eq!(visitor.ask("DELETE", &path, &[], b"").status, "200 OK");
        assert_eq!(visitor.get(&path).status, "404 Not Found");
    }
}

/// Mozilla's store for JSON, on Pyramid.
#[test]
fn kinto() {
    if !can_check("Kinto") {
        return;
    }
    let site = Site::empty();
    // As Kinto's own app.wsgi has it.
    site.write("storage.py", "from kinto import main\nsettings = {\n    'kinto.storage_backend': 'kinto.core.storage.memory',\n    'kinto.permission_backend': 'kinto.core.permission.memory',\n    'kinto.cache_backend': 'kinto.core.cache.memory',\n    'kinto.userid_hmac_secret': 'analytical',\n    'kinto.includes': 'kinto.plugins.accounts',\n    'multiauth.policies': 'account',\n    'multiauth.policy.account.use': 'kinto.plugins.accounts.authentication.AccountsAuthenticationPolicy',\n    'kinto.account_create_principals': 'system.Everyone',\n    'kinto.bucket_create_principals': 'system.Authenticated',\n}\napplication = main({}, None, **settings)\n");
    let server = site.serve(ONE, &["storage:application"]);
    let mut visitor = Visitor::new(&server);
    let json = [("Content-Type", "application/json")];
    let about = visitor.get("/v1/").json();
    assert_eq!(about["project_name"], "kinto");
    let account = json!({"data": {"password": "analytical"}}).to_string();
    let made = visitor.ask("PUT", "/v1/accounts/ada", &json, account.as_bytes());
    assert_eq!(made.status, "201 Created", "{}", made.text());
    assert_eq!(
        visitor.ask("PUT", "/v1/buckets/notes", &json, b"").status,
        "401 Unauthorized"
    );

    visitor.authorization = Some("Basic YWRhOmFuYWx5dGljYWw=".to_string()); // ada:analytical
    assert_eq!(visitor.get("/v1/").json()["user"]["id"], "account:ada");
    assert_eq!(
        visitor.ask("PUT", "/v1/buckets/notes", &json, b"").status,
        "201 Created"
    );
    assert_eq!(
        visitor
            .ask("PUT", "/v1/buckets/notes/collections/engine", &json, b"")
            .status,
        "201 Created"
    );
    let record = json!({"data": {"title": "Note G", "text": "Bernoulli \u{2713}"}}).to_string();
    let records = "/v1/buckets/notes/collections/engine/records";
    let stored = visitor.ask("POST", records, &json, record.as_bytes());
    assert_eq!(stored.status, "201 Created", "{}", stored.text());
    let id = stored.json()["data"]["id"]
        .as_str()
        .expect("it has one")
        .to_string();
    let path = format!("{records}/{id}");
    assert_eq!(
        visitor.get(&path).json()["data"]["text"],
        "Bernoulli \u{2713}"
    );
    let patch = json!({"data": {"title": "Note H"}}).to_string();
    assert_eq!(
        visitor.ask("PATCH", &path, &json, patch.as_bytes()).status,
        "200 OK"
    );
    assert_eq!(visitor.get(records).json()["data"][0]["title"], "Note H");
    let head = visitor.ask("HEAD", records, &[], b"");
    assert_eq!(
        (head.field("Total-Records"), head.body.len()),
        (Some("1"), 0)
    );
    visitor.authorization = None;
    assert_eq!(visitor.get(&path).status, "401 Unauthorized");
}

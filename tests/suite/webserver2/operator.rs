//! What the operator sees.

use super::{ask, echoed, whole};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use tests::client::get;
use tests::programs;
use tests::server::{run_to_end, Server};

#[test]
fn requests_and_answers_are_printed() {
    let server = Server::start("webserver2 wsgiapp:app");
    let request = "GET /hello HTTP/1.1\r\nHost: localhost\r\nX-Bell: \u{9b}2J\r\n\r\n";
    let answer = ask(&server, request);
    let date = answer.field("date").unwrap();
    let wanted = format!(
        "Serving HTTP on http://{}/ ...\n< GET /hello HTTP/1.1\n< Host: localhost\n\
         < X-Bell: ??2J\n<\n> HTTP/1.1 200 OK\n> Date: {date}\n> Server: webserver2\n\
         > Content-Type: text/plain\n> Content-Length: 44\n> Connection: close\n>\n\
         }} [44 bytes data]\n",
        server.address
    );
    server.wait_for_output("bytes data]\n");
    assert_eq!(server.output_when_idle(), wanted);

    // Refusals too.
    ask(&server, "GET / HTTP/2.0\r\n\r\n");
    server.wait_for_output("< GET / HTTP/2.0\n<\n> HTTP/1.1 505 HTTP Version Not Supported\n");
}

#[test]
fn the_environ_names_both_ends() {
    let server = Server::start("webserver2 validator:echoapp:app");
    let mut client = server.connect();
    let answer = whole(client.send(get("/")).read_to_end());
    let (environ, _) = echoed(&answer);
    for (name, address) in [("SERVER", server.address), ("REMOTE", client.address())] {
        let port = format!("{name}_PORT={}", address.port());
        assert!(environ.lines().any(|line| line == port), "{environ}");
    }
}

#[test]
fn what_cannot_be_served_is_one_clear_line() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().unwrap();
    let modules = "there is no module `nosuch`; there are wsgiapp, echoapp, ";
    for (arguments, message) in [
        (
            "wsgiapp",
            "the module `wsgiapp` has no `application`; it has app\n",
        ),
        (
            "validator:wsgiapp",
            "the module `wsgiapp` has no `application`; it has app\n",
        ),
        (
            "validator:",
            "`` names no application: write module:callable, such as wsgiapp:app\n",
        ),
        ("nosuch:app", modules),
        ("validator:accesslog:nosuch:app", modules),
        (
            ":",
            "`:` names no application: write module:callable, such as wsgiapp:app\n",
        ),
        (
            "wsgiapp:nosuch",
            "the module `wsgiapp` has no `nosuch`; it has app\n",
        ),
        ("wsgiapp:", "the module `wsgiapp` has no ``; it has app\n"),
        (
            "failapp:nosuch",
            "the module `failapp` has no `nosuch`; it has early, late, panic\n",
        ),
        (
            "wsgiapp:app nonsense",
            "bind nonsense: invalid socket address",
        ),
        ("wsgiapp:app :7780", "bind :7780: no host before the port; "),
        (
            "wsgiapp:app 127.0.0.1:99999",
            "bind 127.0.0.1:99999: invalid port value",
        ),
        (
            &format!("wsgiapp:app {busy}"),
            &format!("bind {busy}: Address already in use"),
        ),
    ] {
        let mut command = programs::command(&format!("webserver2 {arguments}"));
        let (code, output, errors) = run_to_end(&mut command);
        assert_eq!((code, output.as_str()), (Some(1), ""), "{arguments}");
        assert!(errors.starts_with(message), "{arguments}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{arguments}: {errors}");
        if message.starts_with("bind") {
            assert!(
                errors.ends_with("; another address can be the last argument\n"),
                "{errors}"
            );
        }
    }
}

/// A reader's copy is of no package of the course, whatever its name ends in.
#[test]
fn a_copy_names_no_package_of_the_course() {
    let mut command = programs::command("webserver2 nosuch:app");
    let (code, _, errors) = run_to_end(command.arg0("my-webserver2"));
    assert_eq!(code, Some(1));
    assert!(
        errors.starts_with("there is no module `nosuch`; "),
        "{errors}"
    );
    assert!(!errors.contains(" -p "), "{errors}");
}

/// An option that does not exist, one with a value that is none, and a word too many
/// are one line and the exit code 2; help goes to the standard output.
#[test]
fn the_command_line_is_checked() {
    let usage = |program: &str| format!("usage: {program} [OPTIONS] <APPLICATION> [ADDRESS]");
    for program in [
        "webserver2",
        "webserver3h",
        "webserver4a",
        "webserver4b",
        #[cfg(target_os = "linux")]
        "webserver4c",
        #[cfg(target_os = "linux")]
        "webserver4d",
        "range",
        "compress",
        "mounted",
    ] {
        for (arguments, message) in [
            (
                "",
                "the following required arguments were not provided: <APPLICATION>",
            ),
            (
                "wsgiapp:app 127.0.0.1:0 more",
                "unexpected argument 'more' found",
            ),
            (
                "wsgiapp:app --nosuch",
                "unexpected argument '--nosuch' found",
            ),
            (
                "wsgiapp:app --max-body 1X",
                "invalid value '1X' for '--max-body <MAX_BODY>'",
            ),
            (
                "wsgiapp:app --max-body -1",
                "unexpected argument '-1' found",
            ),
            (
                "wsgiapp:app --linger 5",
                "invalid value '5' for '--linger <LINGER>'",
            ),
            (
                "wsgiapp:app --max-fields",
                "a value is required for '--max-fields <MAX_FIELDS>'",
            ),
        ] {
            let mut command = programs::command(&format!("{program} {arguments}"));
            let (code, output, errors) = run_to_end(&mut command);
            assert_eq!(
                (code, output.as_str()),
                (Some(2), ""),
                "{arguments}: {errors}"
            );
            assert!(errors.starts_with(message), "{arguments}: {errors}");
            assert_eq!(errors.lines().count(), 1, "{errors}");
            assert!(errors.ends_with("; --help says more\n"), "{errors}");
        }
        for (argument, begins) in [
            ("--version", format!("{program} ")),
            ("-V", format!("{program} ")),
            ("--help", "".to_string()),
            ("-h", "".to_string()),
        ] {
            let mut command = programs::command(&format!("{program} {argument}"));
            let (code, output, errors) = run_to_end(&mut command);
            assert_eq!(
                (code, errors.as_str()),
                (Some(0), ""),
                "{program} {argument}"
            );
            assert!(output.starts_with(&begins), "{output}");
            let help = output.contains(&usage(program).replacen('u', "U", 1));
            assert_eq!(help, argument.contains('h'), "{output}");
            if help {
                assert!(output.contains("beyond it, 413 [default: 1G]"), "{output}");
            }
        }
    }
}

/// The command that brings in what was left out names a package that has the
/// program, and the feature.
#[test]
fn what_was_left_out_comes_in_with_the_command_that_is_named() {
    let mut metadata = programs::cargo();
    metadata.args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let metadata = metadata.output().unwrap().stdout;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();

    let names = programs::course().programs.iter().cloned();
    let names = names.filter(|program| program.arguments.is_some());
    let names = names.map(|program| program.name);
    let ours: Vec<String> = names.filter(|name| name.starts_with("webserver")).collect();
    assert!(ours.len() >= 2, "{ours:?}");
    for program in ours {
        for (name, feature) in [("rocketapp:app", "rocket"), ("python:no:app", "python")] {
            let mut command = programs::command(&format!("{program} {name}"));
            let (_, _, errors) = run_to_end(&mut command);
            let hint = errors.split_once("; ").unwrap_or_default().1;
            let words: Vec<&str> = hint.split_whitespace().collect();
            let ["cargo", "run", "-p", package, "--features", named, "--bin", bin, "--", this, "does", "that"] =
                words[..]
            else {
                panic!("{program} {name}: {errors}");
            };
            assert_eq!((named, bin, this), (feature, program.as_str(), name));
            let package = packages.iter().find(|found| found["name"] == package);
            let package = package.unwrap_or_else(|| panic!("no such package: {hint}"));
            assert!(package["features"][feature].is_array(), "{hint}");
            let targets = package["targets"].as_array().unwrap();
            let there = targets.iter().any(|target| target["name"] == bin);
            assert!(there, "{package} has no {bin}: {hint}");
        }
    }
}

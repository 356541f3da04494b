//! The interpreter: its environment, its library, and its end.

use super::{output_of_python, webserver2, FORKING, ONE};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use tests::python::{can_check, environment, Site, Visitor};
use tests::server::{run_to_end, Server};
use tests::{left_out, wait_for};

#[test]
fn the_virtual_environment_is_the_active_one() {
    if !can_check("the virtual environment") {
        return;
    }
    let (site, server) = webserver2("probes:interpreter");
    let said = Visitor::new(&server).get("/").json();
    assert_eq!(said["prefix"], environment().display().to_string());
    assert_eq!(said["path"], site.folder.display().to_string());
    assert_eq!(said["subprocess"], "1\n");
    assert_eq!(said["main"], true);

    // None is active, and this machine's own packages are what there is.
    let mut command = site.command(ONE, &["probes:interpreter", "127.0.0.1:0"]);
    command.env_remove("VIRTUAL_ENV");
    let server = Server::spawn(ONE, command).unwrap_or_else(|error| panic!("{error}"));
    let said = Visitor::new(&server).get("/").json();
    assert_ne!(said["prefix"], environment().display().to_string());
}

#[test]
fn a_virtual_environment_that_does_not_fit_is_refused() {
    if !can_check("virtual environments of another version") {
        return;
    }
    let site = Site::new();
    let folder = site.folder.join("venv");
    fs::create_dir_all(folder.join("bin")).expect("it is ours");
    let start = || {
        let mut command = site.command(ONE, &["flaskapp:app"]);
        run_to_end(command.env("VIRTUAL_ENV", &folder))
    };
    let settings = fs::read_to_string(environment().join("pyvenv.cfg")).expect("it has one");
    let version = settings
        .lines()
        .find_map(|line| line.strip_prefix("version = "));
    let ours = version.expect("venv writes it").to_string();
    let shown = folder.display();

    for (line, theirs) in [
        ("version = 3.6.15", "3.6.15"),
        ("version_info = 3.6.15.final.0", "3.6.15.final.0"),
        ("home = /usr/bin", "of no known version"),
    ] {
        site.write("venv/pyvenv.cfg", &format!("home = /usr/bin\n{line}\n"));
        let (code, output, errors) = start();
        assert_eq!((code, output.as_str()), (Some(1), ""));
        let said = format!("the virtual environment {shown} is for Python {theirs}, this program has Python {ours} inside; build it again while that environment is active\n");
        assert_eq!(errors, said);
    }
    // Another one of the same minor version is as good.
    site.write("venv/pyvenv.cfg", &settings);
    let (_, _, errors) = start();
    assert!(errors.contains("No module named 'flask'"), "{errors}");

    fs::remove_file(folder.join("pyvenv.cfg")).expect("it was written");
    let (code, _, errors) = start();
    let said = format!("read {shown}/pyvenv.cfg: No such file or directory (os error 2); deactivate, or make the virtual environment anew\n");
    assert_eq!((code, errors), (Some(1), said));
}

/// The library is the one of the interpreter that the build has found, and no other
/// of that name.
#[test]
fn the_library_is_found_by_its_own_folder() {
    if !can_check("the rpath") {
        return;
    }
    let (_site, server) = webserver2("probes:flags");
    let Ok(maps) = fs::read_to_string(format!("/proc/{}/maps", server.pid())) else {
        return left_out("the library that is loaded", "/proc");
    };
    let code = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))";
    let folder = output_of_python(code, b"");
    let loaded: Vec<&str> = maps
        .lines()
        .filter(|line| line.contains("/libpython3."))
        .collect();
    assert!(!loaded.is_empty(), "{maps}");
    for line in loaded {
        assert!(
            line.contains(&format!(" {folder}/")),
            "{line}: not from {folder}"
        );
    }
}

#[test]
fn ctrl_c_and_sigterm_stop_the_server() {
    if !can_check("Ctrl-C") {
        return;
    }
    use nix::sys::signal::{kill, Signal};
    for application in [
        "signals:app",
        "signals:make_app()",
        "checked:django",
        "flaskapp:app",
    ] {
        for program in [ONE, FORKING] {
            for signal in [Signal::SIGINT, Signal::SIGTERM] {
                let site = Site::new();
                let mut server = site.serve(program, &[application]);
                Visitor::new(&server).get("/hello");
                let pid = nix::unistd::Pid::from_raw(server.pid() as i32);
                kill(pid, signal).expect("it is ours");
                let status = wait_for("the server's end", || server.ended());
                assert_eq!(
                    status.signal(),
                    Some(signal as i32),
                    "{program} {application}"
                );
            }
        }
    }
}

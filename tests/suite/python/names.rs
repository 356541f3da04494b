//! Names of applications, and why they lead nowhere.

use super::ONE;
use std::fs;
use std::process::Command;
use tests::python::{can_check, environment, Site, Visitor};
use tests::server::run_to_end;

#[test]
fn names_of_applications() {
    if !can_check("names of Python applications") {
        return;
    }
    let site = Site::empty();
    site.write("site_of.py", SITE);
    fs::create_dir_all(site.folder.join("package/inner")).expect("it is ours");
    site.write("package/__init__.py", "");
    site.write("package/inner/wsgi.py", SITE);
    for (name, said) in [
        ("site_of:app", "plain"),
        ("python:site_of:app", "plain"),
        ("package.inner.wsgi:app", "plain"),
        ("site_of:holder.inner.app", "dotted"),
        ("site_of:make_app()", "made with () {}"),
        (
            "site_of:holder.make('a, (b', 2, debug=True)",
            "made with ('a, (b', 2) {'debug': True}",
        ),
        ("validator:site_of:app", "plain"),
        (
            "accesslog:site_of:make_app([1, {'a': None}])",
            "made with ([1, {'a': None}],) {}",
        ),
    ] {
        let server = site.serve(ONE, &[name]);
        assert_eq!(Visitor::new(&server).get("/").text(), said, "{name}");
    }
    // A name that is two things is neither, until one says which.
    site.write("wsgiapp.py", SITE);
    fs::create_dir_all(site.folder.join("echoapp")).expect("it is ours");
    site.write("echoapp/__init__.py", SITE);
    for (name, file) in [
        ("wsgiapp", "wsgiapp.py"),
        ("echoapp", "echoapp/__init__.py"),
    ] {
        let name = format!("{name}:app");
        let line = format!("`{name}` is {file} of this folder and a module that is compiled in; write python:{name} or rust:{name}\n");
        for program in [site.command(ONE, &[&name]), site.without(ONE, &[&name])] {
            let mut program = program;
            assert_eq!(
                run_to_end(&mut program),
                (Some(1), String::new(), line.clone())
            );
        }
    }
    let server = site.serve(ONE, &["rust:wsgiapp:app"]);
    let hello = "Hello world from a simple WSGI application!\n";
    assert_eq!(Visitor::new(&server).get("/").text(), hello);
    let server = site.serve(ONE, &["validator:python:wsgiapp:app"]);
    assert_eq!(Visitor::new(&server).get("/").text(), "plain");
    // A module of a framework that was left out is one of Python's where there is such a file.
    site.write("actixapp.py", SITE);
    let server = site.serve(ONE, &["actixapp:app"]);
    assert_eq!(Visitor::new(&server).get("/").text(), "plain");
    // A module alone is its `application`.
    site.write(
        "lonely.py",
        &SITE.replace("app = answer", "application = answer"),
    );
    for name in ["lonely", "python:lonely", "validator:lonely"] {
        let server = site.serve(ONE, &[name]);
        assert_eq!(Visitor::new(&server).get("/").text(), "plain", "{name}");
    }
}

const SITE: &str = "
import datetime
from os.path import join

class Holder: pass

def answer(text):
    def app(environ, start_response):
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return [text.encode()]
    return app

app = answer('plain')
holder = Holder()
holder.inner = Holder()
holder.inner.app = answer('dotted')

def make_app(*arguments, **named):
    return answer(f'made with {arguments} {named}')

holder.make = make_app
text = 'no application'
nothing = None

def broken():
    raise KeyError('no settings')

def makes_nothing():
    pass
";

#[test]
fn every_error_is_a_clear_line() {
    if !can_check("errors of names and modules") {
        return;
    }
    let site = Site::empty();
    site.write("site_of.py", SITE);
    site.write("lacks.py", "import no_such_package_anywhere\n");
    site.write(
        "raises.py",
        "def inner():\n    raise ValueError('no such fruit')\ninner()\n",
    );
    site.write("exits.py", "import sys\nsys.exit(3)\n");
    site.write("wrong.py", "def (:\n");
    site.write("colours.py", "raise ValueError('\\x1b[31mred')\n");
    let here = site.folder.display();
    let there = "it has answer, app, make_app, broken, makes_nothing";
    for (name, lines) in [
        ("nosuch", format!("there is no module `nosuch`: none is compiled in, and Python finds none in {here}")),
        ("site_of", format!("the module `site_of` has no `application`; {there}")),
        ("validator", "`validator` names no application: write module:callable, such as wsgiapp:app".to_string()),
        ("accesslog:python", "`python` names no application: write module:callable, such as wsgiapp:app".to_string()),
        ("python:", "`python:` names no application: write module:callable, such as wsgiapp:app".to_string()),
        ("rust:site_of:app", "there is no module `site_of`; there are wsgiapp, *".to_string()),
        ("nosuch:app", format!("there is no module `nosuch`: none is compiled in, and Python finds none in {here}")),
        ("nosuch.inner:app", format!("there is no module `nosuch.inner`: none is compiled in, and Python finds none in {here}")),
        (":app", "`:app` names no application: write module:callable, such as wsgiapp:app".to_string()),
        ("a..b:app", format!("there is no module `a..b`: none is compiled in, and Python finds none in {here}")),
        ("site_of:nosuch", format!("the module `site_of` has no `nosuch`; {there}")),
        ("site_of:holder.nosuch", format!("the module `site_of` has no `holder.nosuch`; {there}")),
        ("site_of:", format!("the module `site_of` has no ``; {there}")),
        ("site_of:text", "site_of:text is of the type str, and cannot be called".to_string()),
        ("site_of:nothing", "site_of:nothing is of the type NoneType, and cannot be called".to_string()),
        ("site_of:makes_nothing()", "site_of:makes_nothing() is of the type NoneType, and cannot be called".to_string()),
        ("site_of:make_app(x)", "the arguments of site_of:make_app(x): ValueError: malformed node or string*".to_string()),
        ("site_of:make_app(", "the arguments of site_of:make_app(: SyntaxError: *".to_string()),
        ("site_of:make_app().x", "the arguments of site_of:make_app().x: SyntaxError: something follows them".to_string()),
        ("site_of:broken()", "Traceback (most recent call last):\n*, in broken\n*KeyError: 'no settings'\ncall site_of:broken(): KeyError: 'no settings'".to_string()),
        ("lacks:app", format!("Traceback (most recent call last):\n*lacks.py\", line 1, in <module>\n*ModuleNotFoundError: No module named 'no_such_package_anywhere'\nimport lacks: ModuleNotFoundError: No module named 'no_such_package_anywhere'; the virtual environment is {}", environment().display())),
        ("raises:app", "Traceback (most recent call last):\n*raises.py\", line 3, in <module>\n*ValueError: no such fruit\nimport raises: ValueError: no such fruit".to_string()),
        ("colours:app", "Traceback (most recent call last):\n*ValueError: \\u{1b}[31mred\nimport colours: ValueError: \\u{1b}[31mred".to_string()),
        ("exits:app", "Traceback (most recent call last):\n*SystemExit: 3\nimport exits: SystemExit: 3".to_string()),
        ("wrong:app", "*SyntaxError: invalid syntax\nimport wrong: SyntaxError: invalid syntax (wrong.py, line 1)".to_string()),
    ] {
        let (code, output, errors) = run_to_end(&mut site.command(ONE, &[name]));
        assert_eq!((code, output.as_str()), (Some(1), ""), "{name}: {errors}");
        assert!(matches(&errors, &format!("{lines}\n")), "{name}:\n{errors}");
    }
    let mut command = site.command(ONE, &["lacks:app"]);
    let (_, _, errors) = run_to_end(command.env_remove("VIRTUAL_ENV"));
    assert!(
        errors.ends_with("; no virtual environment is active\n"),
        "{errors}"
    );
}

/// Whether `text` is this pattern, in which `*` stands for anything.
fn matches(text: &str, pattern: &str) -> bool {
    let escaped = regex::escape(pattern).replace("\\*", "(?s:.*)");
    let pattern = regex::Regex::new(&format!("^{escaped}$")).expect("it is escaped");
    pattern.is_match(text)
}

/// What the program without Python says of a Python module.
#[test]
fn without_python_the_error_says_how_to_get_it() {
    let site = Site::new();
    let run = |name: &str| {
        let mut command = Command::new(tests::python::without(ONE));
        run_to_end(command.arg(name).current_dir(&site.folder))
    };
    for (name, line) in [
        ("flaskapp:app", "flaskapp.py is Python, which was not compiled in; cargo run -p part2 --features python --bin webserver2 -- flaskapp:app does that\n"),
        ("helloworld.wsgi:application", "helloworld/wsgi.py is Python, which was not compiled in; cargo run -p part2 --features python --bin webserver2 -- helloworld.wsgi:application does that\n"),
        ("actixapp:app", "the module `actixapp` was not compiled in; cargo run -p part2 --features actix --bin webserver2 -- actixapp:app does that\n"),
        ("python:wsgiapp:app", "the module `python` was not compiled in; cargo run -p part2 --features python --bin webserver2 -- python:wsgiapp:app does that\n"),
    ] {
        assert_eq!(run(name), (Some(1), String::new(), line.to_string()));
    }
    let (code, _, errors) = run("nosuch:app");
    assert_eq!(code, Some(1));
    assert!(
        errors.starts_with("there is no module `nosuch`; there are wsgiapp, ")
            && errors.ends_with("; for one of Python's there is cargo run -p part2 --features python --bin webserver2 -- nosuch:app\n"),
        "{errors}"
    );
}

//! The rules of the interface that the compiler keeps: each is broken in a program of a
//! few lines, beside the same program without the fault, which compiles.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The library that these tests are linked with. Others may lie beside it, of other
/// features or another compiler; this is the newest that programs can be built with.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let entries = fs::read_dir(folder()).expect("these tests stand in it");
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "rlib"))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("libgateway-")
        })
        .collect();
    found.sort_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
    let compiles = |path: &PathBuf| compile(path, "library", "pub use gateway::Body;").is_ok();
    let library = found.into_iter().rev().find(compiles);
    library.expect("cargo has built one for these tests")
});

/// Where cargo has put these tests, and what they depend on.
fn folder() -> PathBuf {
    let tests = std::env::current_exe().expect("they run");
    tests.parent().expect("they are in a folder").to_path_buf()
}

/// Compiles a library with `gateway` in it, and says what the compiler says.
fn compile(gateway: &Path, name: &str, text: &str) -> Result<(), String> {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("compiler-{name}"));
    fs::create_dir_all(&out).expect("the target folder can be written");
    let file = out.join(format!("{name}.rs"));
    fs::write(&file, text).expect("the target folder can be written");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = Command::new(rustc);
    rustc.args(["--edition=2021", "--crate-type=lib", "--emit=metadata"]);
    rustc.arg("--extern");
    rustc.arg(format!("gateway={}", gateway.display()));
    rustc.arg("-L");
    rustc.arg(format!("dependency={}", folder().display()));
    rustc.arg("--out-dir").arg(&out).arg(&file);
    let output = rustc.output().expect("cargo runs these tests, and rustc");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let _ = fs::remove_dir_all(&out);
    match output.status.success() {
        true => Ok(()),
        false => Err(said),
    }
}

/// `good` compiles. With `fault` in the place of `line` it does not, and `error` is why.
fn refused(name: &str, good: &str, (line, fault): (&str, &str), error: &str) {
    const HEAD: &str = "#![deny(unused_must_use)]\n\
                        use gateway::{headers, Application, Body, Environ, Result, StartResponse};\n";
    assert_eq!(good.matches(line).count(), 1, "{line}");
    let compile = |what: &str, text: &str| {
        let text = format!("#![allow(unused)]\n{HEAD}{text}");
        compile(&LIBRARY, &format!("{name}_{what}"), &text)
    };
    let said = compile("good", good);
    assert_eq!(said, Ok(()), "{good}");
    let said = compile("fault", &good.replace(line, fault)).expect_err("it compiles");
    assert!(said.contains(error), "wanted {error}, and not:\n{said}");
}

const APP: &str = r#"
fn app(_environ: Environ, mut start_response: StartResponse) -> Result<Body> {
    start_response.start("200 OK", headers([("Content-Type", "text/plain")]))?;
    Ok(Body::new(["Hello, World!\n"].map(|chunk| Ok(chunk.as_bytes().to_vec()))))
}

fn served() -> &'static dyn Application {
    &app
}
"#;

#[test]
fn an_application_takes_two_arguments() {
    let one = ("fn app(_environ: Environ, mut", "fn app(mut");
    refused("arguments", APP, one, "error[E0");
    let result = ("-> Result<Body>", "-> Result<&'static str>");
    refused("result", APP, result, "error[E0");
}

#[test]
fn chunks_are_bytes() {
    let text = ("chunk.as_bytes().to_vec()", "chunk.to_string()");
    refused("chunks", APP, text, "error[E0271]");
}

#[test]
fn an_application_can_be_called_again() {
    let good = r#"
        fn served(body: &'static str) -> impl Application {
            gateway::application(move |_, mut start_response| {
                start_response.start("200 OK", headers([]))?;
                Ok(body.into())
            })
        }
    "#;
    // A body that was made once has gone with the first call.
    let once = ("body: &'static str", "body: Body");
    refused("again", good, once, "error[E0507]");
}

#[test]
fn what_is_for_one_thread_is_not_shared() {
    let good = r#"
        struct Guests(std::sync::Mutex<Vec<String>>);

        impl Application for Guests {
            fn call(&self, _: Environ, _: StartResponse) -> Result<Body> {
                Ok(Body::empty())
            }
        }

        fn by_several_threads(_: impl Application + Sync) {}

        fn serve(guests: Guests) {
            by_several_threads(guests)
        }
    "#;
    let cell = ("std::sync::Mutex", "std::cell::RefCell");
    refused("threads", good, cell, "error[E0277]");
}

const RESTARTED: &str = r#"
    fn app(_: Environ, mut start_response: StartResponse) -> Result<Body> {
        let error = String::from("the database is on fire");
        let told = error.clone();
        start_response.restart("503 Service Unavailable", headers([]), error)?;
        Ok(Body::from(told))
    }
"#;

#[test]
fn an_error_that_was_given_is_not_kept() {
    refused(
        "kept",
        RESTARTED,
        ("Body::from(told)", "Body::from(error)"),
        "error[E0382]",
    );
}

#[test]
fn an_error_that_comes_back_is_looked_at() {
    let passed_over = ("error)?;", "error);");
    refused(
        "looked_at",
        RESTARTED,
        passed_over,
        "unused `Result` that must be used",
    );
}

#[test]
fn values_of_the_environ_are_bytes() {
    let good = r#"
        fn server(environ: &mut Environ) {
            environ.set("PATH_INFO", vec![255_u8]);
        }
    "#;
    refused("values", good, ("255_u8", "256_u16"), "error[E0277]");
}

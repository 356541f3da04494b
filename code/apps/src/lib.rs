//! The applications of the course, by name: where Python has `import`, Rust has
//! this table.
//!
//! | name                           | what it is                                |
//! | ------------------------------ | ----------------------------------------- |
//! | `wsgiapp:app`                  | the application of the series             |
//! | `echoapp:app`, `:body`         | says what it was asked, or that body alone |
//! | `streamapp:app`, `:late`, `:write`, `:large` | answers of several chunks, and a large one |
//! | `failapp:early`, `:late`, `:panic` | fail before and after the first byte  |
//! | `axumapp:app`, `actixapp:app`, `rocketapp:app`, `cotapp:app` | one application in four frameworks, each a feature of its name |
//! | `validator:NAME`               | another application, checked              |
//! | `accesslog:NAME`               | another application, with a log           |
//! | `python:NAME`                  | a callable of a Python module             |
//! | `rust:NAME`                    | one of the table's own, where both have it |
//!
//! With the feature `python`, a name of none of these modules is looked for among
//! Python's, too: `flaskapp:app`.
//!
//! ```
//! let app = apps::load("validator:wsgiapp:app")?;
//! let outcome = gateway::respond(&app, gateway::Environ::testing_defaults(), std::io::sink());
//! assert!(outcome.error.is_none());
//! # Ok::<(), apps::LoadError>(())
//! ```

#![deny(missing_docs)]

// ANCHOR: mods
#[cfg(feature = "actix")]
pub mod actixapp;
#[cfg(feature = "adapters")]
pub mod adapters;
#[cfg(feature = "axum")]
pub mod axumapp;
mod children;
#[cfg(feature = "cot")]
pub mod cotapp;
pub mod echoapp;
pub mod failapp;
mod finish;
mod fork;
#[cfg(feature = "python")]
mod python;
#[cfg(feature = "rocket")]
pub mod rocketapp;
pub mod streamapp;
pub mod wsgiapp;
// ANCHOR_END: mods

pub use children::Children;
pub use finish::{finish, finish_on_signals};
pub use fork::{before_fork, warm, Fork};

use gateway::{access_log, validator, Application, Body, Environ, StartResponse};
use std::fmt;
use std::io::stderr;
use std::path::{Path, PathBuf};

// ANCHOR: loaded
/// An application that has been loaded. It may be called as it is.
pub enum Loaded {
    /// Several threads may call it at once.
    Shared(Shared),
    /// It belongs to the thread that has loaded it.
    OneThread(Box<dyn Application>),
}

/// An application that several threads may call at once.
pub type Shared = Box<dyn Application + Send + Sync>;

impl Application for Loaded {
    fn call(&self, environ: Environ, start_response: StartResponse) -> gateway::Result<Body> {
        match self {
            Loaded::Shared(application) => application.call(environ, start_response),
            Loaded::OneThread(application) => application.call(environ, start_response),
        }
    }
}

/// The application of that name, for a server that calls it from several threads.
///
/// # Errors
///
/// Those of [`load`]; an application that belongs to one thread.
pub fn load_shared(name: &str) -> Result<Shared, LoadError> {
    match load(name)? {
        Loaded::Shared(application) => Ok(application),
        Loaded::OneThread(_) => Err(LoadError::OneThread(name.to_string())),
    }
}
// ANCHOR_END: loaded

/// The application of the name `module:callable`. A module without a callable
/// stands for its `application`.
///
/// The modules `validator` and `accesslog` hold middleware: their callable is
/// the name of another application. `python` stands before a name that is to be
/// Python's, and `rust` before one that is to be compiled in, where both have it.
///
/// # Errors
///
/// A name that means nothing here, or two things; each says what would.
// ANCHOR: load
pub fn load(name: &str) -> Result<Loaded, LoadError> {
    match name.split_once(':') {
        Some(("validator", inner)) => {
            return Ok(match load(inner)? {
                Loaded::Shared(app) => Loaded::Shared(Box::new(validator(app))),
                Loaded::OneThread(app) => Loaded::OneThread(Box::new(validator(app))),
            });
        }
        Some(("accesslog", inner)) => {
            return Ok(match load(inner)? {
                Loaded::Shared(app) => Loaded::Shared(Box::new(access_log(app, stderr()))),
                Loaded::OneThread(app) => Loaded::OneThread(Box::new(access_log(app, stderr()))),
            });
        }
        Some(("python", inner)) if !inner.is_empty() => return load_python(inner),
        Some(("rust", inner)) if !inner.is_empty() => return load_compiled(inner),
        _ => {}
    }
    // ANCHOR_END: load
    // ANCHOR: which
    let (module, _) = parts(name);
    let compiled = modules().iter().any(|found| found.name == module);
    match python_file(module) {
        _ if ["", "validator", "accesslog", "python", "rust"].contains(&module) => {
            Err(LoadError::NoName(name.to_string()))
        }
        Some(file) if compiled => Err(LoadError::Two {
            name: name.to_string(),
            file,
        }),
        None if compiled || OPTIONAL.contains(&module) => load_compiled(name),
        _ if cfg!(feature = "python") => load_python(name),
        _ => load_compiled(name),
    }
}

/// The file of Python's module of that name in the current folder, if there is one.
fn python_file(module: &str) -> Option<PathBuf> {
    let path = module.replace('.', "/");
    let files = [format!("{path}.py"), format!("{path}/__init__.py")];
    files
        .map(PathBuf::from)
        .into_iter()
        .find(|file| file.is_file())
}
// ANCHOR_END: which

// ANCHOR: find
/// The two parts of a name.
fn parts(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or((name, "application"))
}

fn load_compiled(name: &str) -> Result<Loaded, LoadError> {
    let (module, callable) = parts(name);
    let modules = modules();
    let Some(found) = modules.iter().find(|found| found.name == module) else {
        return Err(unknown(name, module, &modules));
    };
    let mut callables = found.callables.iter();
    match callables.find(|(name, _)| *name == callable) {
        Some((_, make)) => make().map_err(|error| LoadError::NotMade {
            name: name.to_string(),
            why: error.to_string(),
        }),
        None => Err(LoadError::NoCallable {
            module: module.to_string(),
            callable: callable.to_string(),
            there: found.callables.iter().map(|(name, _)| *name).collect(),
        }),
    }
}
// ANCHOR_END: find

// ANCHOR: load_python
#[cfg(feature = "python")]
use python::load as load_python;

#[cfg(not(feature = "python"))]
fn load_python(name: &str) -> Result<Loaded, LoadError> {
    Err(LoadError::NoFeature {
        name: format!("python:{name}"),
        module: "python".to_string(),
        feature: "python".to_string(),
    })
}
// ANCHOR_END: load_python

// ANCHOR: module
/// A module, and how each of its applications is made.
struct Module {
    name: &'static str,
    callables: Vec<(&'static str, Make)>,
}

type Make = fn() -> gateway::Result<Loaded>;

fn shared(app: impl Application + Send + Sync + 'static) -> gateway::Result<Loaded> {
    Ok(Loaded::Shared(Box::new(app)))
}

/// The compiler does not let [`shared`] have what is not `Send` and `Sync`.
#[cfg(feature = "actix")]
fn one_thread(app: impl Application + 'static) -> gateway::Result<Loaded> {
    Ok(Loaded::OneThread(Box::new(app)))
}
// ANCHOR_END: module

// ANCHOR: modules
fn modules() -> Vec<Module> {
    fn module<const N: usize>(name: &'static str, callables: [(&'static str, Make); N]) -> Module {
        let callables = callables.into();
        Module { name, callables }
    }
    // ANCHOR_END: modules
    // ANCHOR: table
    vec![
        module("wsgiapp", [("app", || shared(wsgiapp::app))]),
        module(
            "echoapp",
            [
                ("app", || shared(echoapp::app)),
                ("body", || shared(echoapp::body)),
            ],
        ),
        module(
            "streamapp",
            [
                ("app", || shared(streamapp::app)),
                ("late", || shared(streamapp::late)),
                ("write", || shared(streamapp::write)),
                ("large", || shared(streamapp::large)),
            ],
        ),
        module(
            "failapp",
            [
                ("early", || shared(failapp::early)),
                ("late", || shared(failapp::late)),
                ("panic", || shared(failapp::panic)),
            ],
        ),
        #[cfg(feature = "axum")]
        module("axumapp", [("app", || shared(axumapp::app()))]),
        #[cfg(feature = "actix")]
        module("actixapp", [("app", || one_thread(actixapp::app()?))]),
        #[cfg(feature = "rocket")]
        module("rocketapp", [("app", || shared(rocketapp::app()?))]),
        #[cfg(feature = "cot")]
        module("cotapp", [("app", || shared(cotapp::app()?))]),
    ]
}
// ANCHOR_END: table

// ANCHOR: optional
/// The modules that a feature of the same name, without `app`, brings in.
const OPTIONAL: [&str; 4] = ["axumapp", "actixapp", "rocketapp", "cotapp"];
// ANCHOR_END: optional

// ANCHOR: errors
/// A name that could not be turned into an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// It names no module.
    NoName(String),
    /// There is no such module.
    NoModule {
        /// The whole name that was asked for.
        name: String,
        /// The module that was asked for.
        module: String,
        /// The modules that are there.
        there: Vec<&'static str>,
    },
    // ANCHOR_END: errors
    // ANCHOR: errors_of_features
    /// The module was left out when the program was compiled.
    NoFeature {
        /// The whole name that was asked for.
        name: String,
        /// The module.
        module: String,
        /// The feature that brings it in.
        feature: String,
    },
    // ANCHOR_END: errors_of_features
    // ANCHOR: errors_of_callables
    /// The module has no such application.
    NoCallable {
        /// The module.
        module: String,
        /// The callable that was asked for.
        callable: String,
        /// The callables that it has.
        there: Vec<&'static str>,
    },
    /// The application could not be made.
    NotMade {
        /// The name that was asked for.
        name: String,
        /// What stood in the way.
        why: String,
    },
    /// It belongs to the thread that loads it, and more of them are to call it.
    OneThread(String),
    // ANCHOR_END: errors_of_callables
    // ANCHOR: errors_of_python
    /// The module is a file of Python's, which was left out when the program was
    /// compiled.
    NoPython {
        /// The whole name that was asked for.
        name: String,
        /// The file.
        file: PathBuf,
    },
    /// The module is a file of Python's, and is compiled in as well.
    Two {
        /// The whole name that was asked for.
        name: String,
        /// The file.
        file: PathBuf,
    },
    /// Python has no such application, in its own words and ours.
    Python(String),
}
// ANCHOR_END: errors_of_python

// ANCHOR: unknown
fn unknown(name: &str, module: &str, modules: &[Module]) -> LoadError {
    let name = name.to_string();
    match python_file(module) {
        Some(file) if cfg!(not(feature = "python")) => LoadError::NoPython { name, file },
        _ if OPTIONAL.contains(&module) => LoadError::NoFeature {
            name,
            module: module.to_string(),
            feature: module.trim_end_matches("app").to_string(),
        },
        _ => {
            let there = modules.iter().map(|module| module.name);
            LoadError::NoModule {
                name,
                module: module.to_string(),
                there: there.chain(["validator", "accesslog"]).collect(),
            }
        }
    }
}
// ANCHOR_END: unknown

// ANCHOR: display
impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NoName(name) => {
                write!(
                    f,
                    "`{name}` names no application: write module:callable, such as wsgiapp:app"
                )
            }
            LoadError::NoModule {
                name,
                module,
                there,
            } => {
                let there = there.join(", ");
                write!(f, "there is no module `{module}`; there are {there}")?;
                if cfg!(feature = "python") {
                    return Ok(());
                }
                let command = command("python", name);
                write!(f, "; for one of Python's there is {command}")
            }
            // ANCHOR_END: display
            // ANCHOR: display_features
            LoadError::NoFeature {
                name,
                module,
                feature,
            } => {
                let command = command(feature, name);
                write!(
                    f,
                    "the module `{module}` was not compiled in; {command} does that"
                )
            }
            // ANCHOR_END: display_features
            // ANCHOR: display_callables
            LoadError::NoCallable {
                module,
                callable,
                there,
            } => {
                let there = there.join(", ");
                write!(
                    f,
                    "the module `{module}` has no `{callable}`; it has {there}"
                )
            }
            LoadError::NotMade { name, why } => write!(f, "load {name}: {why}"),
            LoadError::OneThread(name) => write!(
                f,
                "`{name}` belongs to the thread that loads it, because its type is neither Send \
                 nor Sync, and this server calls from several threads; wsgiapp:app may be shared"
            ),
            // ANCHOR_END: display_callables
            // ANCHOR: display_python
            LoadError::NoPython { name, file } => {
                let (file, command) = (file.display(), command("python", name));
                write!(
                    f,
                    "{file} is Python, which was not compiled in; {command} does that"
                )
            }
            LoadError::Two { name, file } => write!(
                f,
                "`{name}` is {} of this folder and a module that is compiled in; write \
                 python:{name} or rust:{name}",
                file.display()
            ),
            LoadError::Python(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for LoadError {}
// ANCHOR_END: display_python

// ANCHOR: program
/// What runs the program that runs now, with a feature.
fn command(feature: &str, name: &str) -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    let file = Path::new(&program).file_name().unwrap_or_default();
    let program = file.to_string_lossy();
    let (package, of) = match package(&program) {
        Some(package) => (format!(" -p {package}"), ""),
        None => (String::new(), "apps/"),
    };
    format!("cargo run{package} --features {of}{feature} --bin {program} -- {name}")
}
// ANCHOR_END: program

// ANCHOR: package
/// `part2` for `webserver2`, `part4` for `webserver4a`: the folder of a Python module may
/// belong to another package of the workspace. None for any other name, of a solution or
/// a copy such as `my-webserver2`: there the feature is that of `apps`.
fn package(program: &str) -> Option<String> {
    let part = program.strip_prefix("webserver")?;
    let number = part.trim_end_matches(|c: char| !c.is_ascii_digit());
    let part = if part == "3h" { part } else { number }; // a package of its own
    (!part.is_empty()).then(|| format!("part{part}"))
}
// ANCHOR_END: package

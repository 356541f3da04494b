//! Starting Python.

use super::{finish, fork};
use pyo3::ffi::{PyConfig, PyConfig_Clear, PyConfig_InitPythonConfig, PyConfig_SetBytesString};
use pyo3::ffi::{PyEval_SaveThread, PyStatus, PyStatus_Exception, Py_InitializeFromConfig};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::env;
use std::ffi::{CStr, CString};
use std::fs;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

// ANCHOR: start
/// Starts the interpreter, if it does not run yet.
///
/// # Errors
///
/// A line that says why it cannot run.
pub(super) fn start() -> Result<(), String> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    STARTED.get_or_init(start_once).clone()
}

fn start_once() -> Result<(), String> {
    let environment = virtual_environment()?;
    initialize(environment.as_deref())?;
    let prepared = Python::attach(prepare);
    prepared.map_err(|exception| format!("Python could not be prepared: {exception}"))
}
// ANCHOR_END: start

// ANCHOR: virtual_environment
/// The active virtual environment, if there is one that this Python can use.
pub(super) fn virtual_environment() -> Result<Option<PathBuf>, String> {
    let active = env::var_os("VIRTUAL_ENV").filter(|folder| !folder.is_empty());
    let Some(folder) = active.map(PathBuf::from) else {
        return Ok(None);
    };
    let settings = folder.join("pyvenv.cfg");
    let text = fs::read_to_string(&settings).map_err(|error| {
        let remedy = "deactivate, or make the virtual environment anew";
        format!("read {}: {error}; {remedy}", settings.display())
    })?;

    // Python ignores the site-packages of another minor version without a word.
    let (theirs, ours) = (version(&text), Python::version_str());
    if minor(&theirs) != minor(ours) {
        let ours = ours.split(' ').next().unwrap_or_default();
        return Err(format!(
            "the virtual environment {} is for Python {theirs}, this program has Python {ours} \
             inside; build it again while that environment is active",
            folder.display()
        ));
    }
    Ok(Some(folder))
}
// ANCHOR_END: virtual_environment

// ANCHOR: versions
/// `version = 3.11.2` in the words of venv, `version_info` in virtualenv's.
fn version(settings: &str) -> String {
    let mut fields = settings.lines().filter_map(|line| line.split_once('='));
    let version = fields.find(|(name, _)| ["version", "version_info"].contains(&name.trim()));
    let version = version.map_or("of no known version", |(_, version)| version.trim());
    version.to_string()
}

/// `3.11` of `3.11.2`.
fn minor(version: &str) -> Vec<&str> {
    version.split('.').take(2).collect()
}
// ANCHOR_END: versions

// ANCHOR: initialize
/// Starts Python as the one at `bin/python` of this environment would start.
fn initialize(environment: Option<&Path>) -> Result<(), String> {
    let mut config = MaybeUninit::<PyConfig>::uninit();
    // SAFETY: this fills in all of it, and nobody has read it before.
    let config = unsafe {
        PyConfig_InitPythonConfig(config.as_mut_ptr());
        config.assume_init_mut()
    };
    config.parse_argv = 0; // our arguments are not Python's
    config.install_signal_handlers = 0; // nor are the signals
    config.buffered_stdio = 0; // a buffer would be copied by every fork

    let mut status = Ok(());
    if let Some(environment) = environment {
        status = set_program_name(config, &environment.join("bin/python"));
    }
    if status.is_ok() {
        // SAFETY: Python does not run yet, and start_once is called once.
        status = check(unsafe { Py_InitializeFromConfig(config) });
    }
    // SAFETY: it was filled in above. It frees what hangs on it, once.
    unsafe { PyConfig_Clear(config) };
    status?;
    // SAFETY: the thread that starts Python holds its lock, and gives it back
    // here. Whoever needs it attaches.
    unsafe { PyEval_SaveThread() };
    Ok(())
}
// ANCHOR_END: initialize

// ANCHOR: program_name
/// Python looks for its library and its packages from where it believes to
/// stand itself.
fn set_program_name(config: &mut PyConfig, program: &Path) -> Result<(), String> {
    let name = CString::new(program.as_os_str().as_bytes())
        .map_err(|_| "VIRTUAL_ENV has a zero byte in it".to_string())?;
    let field = &raw mut config.program_name;
    // SAFETY: both pointers are into `config`, which has been filled in; the
    // name lives until Python has made its copy.
    check(unsafe { PyConfig_SetBytesString(config, field, name.as_ptr()) })
}

fn check(status: PyStatus) -> Result<(), String> {
    // SAFETY: it reads the value that it is given.
    if unsafe { PyStatus_Exception(status) } == 0 {
        return Ok(());
    }
    let why = match status.err_msg.is_null() {
        true => "it gives no reason".into(),
        // SAFETY: not null, so it is one of Python's constant strings.
        false => unsafe { CStr::from_ptr(status.err_msg) }.to_string_lossy(),
    };
    Err(format!("Python could not be started: {why}"))
}
// ANCHOR_END: program_name

// ANCHOR: prepare
/// What `python -m` would do: modules of the current directory come first.
fn prepare(py: Python<'_>) -> PyResult<()> {
    let here = env::current_dir()?;
    let sys = py.import("sys")?;
    // A `str`: the import system ignores a `Path` on this list.
    let path = sys.getattr("path")?;
    path.cast::<PyList>()?.insert(0, here.as_os_str())?;

    let program = env::args_os().next().unwrap_or_default();
    sys.setattr("argv", [program.as_os_str()])?;
    fork::prepare(py)?; // before `threading`, which has a hook of its own
    py.import("threading")?; // the thread that imports it is Python's main thread
    finish::prepare(py)?;
    give_back_ctrl_c(py)
}
// ANCHOR_END: prepare

// ANCHOR: signals
/// Ctrl-C and SIGTERM belong to the server. Python takes Ctrl-C when its module
/// `signal` is imported for the first time, which nearly everything does: so it
/// happens here, and is taken back. In Python's own words, so that Python knows.
fn give_back_ctrl_c(py: Python<'_>) -> PyResult<()> {
    let signal = py.import("signal")?;
    let number = signal.getattr("SIGINT")?;
    let handler = signal.call_method1("getsignal", (&number,))?;
    if handler.is(signal.getattr("default_int_handler")?) {
        signal.call_method1("signal", (number, signal.getattr("SIG_DFL")?))?;
    }
    Ok(())
}
// ANCHOR_END: signals

// ANCHOR: keeping_signals
/// Imports may take more. This does `work`, and then lets the two signals do
/// what they did before.
pub(super) fn keeping_signals<'py, T>(
    py: Python<'py>,
    work: impl FnOnce() -> PyResult<T>,
) -> PyResult<T> {
    let signal = py.import("signal")?;
    let handler = |name: &str| signal.call_method1("getsignal", (signal.getattr(name)?,));
    let before = [
        ("SIGINT", handler("SIGINT")?),
        ("SIGTERM", handler("SIGTERM")?),
    ];
    let done = work();
    for (name, before) in before {
        // None: a handler that was not installed by Python, but by C or by Rust.
        if !before.is_none() && !handler(name)?.is(&before) {
            signal.call_method1("signal", (signal.getattr(name)?, before))?;
        }
    }
    done
}
// ANCHOR_END: keeping_signals

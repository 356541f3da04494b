//! From `module:callable` to an object of Python's.

use super::application;
use super::exceptions::{line, say, traceback, type_name};
use super::interpreter::{keeping_signals, start, virtual_environment};
use crate::{LoadError, Loaded};
use pyo3::exceptions::{PyAttributeError, PyModuleNotFoundError, PySyntaxError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule, PyTuple, PyType};

// ANCHOR: load
/// The application of the name `module:callable` in Python's modules, those of
/// the current directory first.
///
/// The callable may have dots, `site:views.app`, and may be made by another one,
/// `site:make_app()`, with constants for arguments.
///
/// # Errors
///
/// Whatever stands in its way, in a line; after a traceback where the module
/// itself has failed.
pub(crate) fn load(name: &str) -> Result<Loaded, LoadError> {
    let (module, callable) = crate::parts(name);
    start().map_err(LoadError::Python)?;
    Python::attach(|py| {
        let found = find(py, module, callable).map_err(LoadError::Python)?;
        Ok(Loaded::Shared(Box::new(application(found.unbind()))))
    })
}
// ANCHOR_END: load

// ANCHOR: find
fn find<'py>(py: Python<'py>, module: &str, callable: &str) -> Result<Bound<'py, PyAny>, String> {
    let (path, arguments) = match callable.split_once('(') {
        Some((path, rest)) => (path, Some(format!("({rest}"))),
        None => (callable, None),
    };
    let mut object = attribute(&import(py, module)?, module, path)?;
    let name = format!("{module}:{callable}");
    if let Some(arguments) = arguments {
        let (positional, named) = constants(py, &arguments)
            .map_err(|exception| format!("the arguments of {name}: {}", line(py, &exception)))?;
        let made = keeping_signals(py, || object.call(positional, Some(&named)));
        object = made.map_err(|exception| failed(py, &format!("call {name}"), &exception))?;
    }
    if !object.is_callable() {
        let kind = type_name(&object);
        return Err(format!(
            "{name} is of the type {kind}, and cannot be called"
        ));
    }
    Ok(object)
}
// ANCHOR_END: find

// ANCHOR: import
fn import<'py>(py: Python<'py>, module: &str) -> Result<Bound<'py, PyModule>, String> {
    let no_module = || {
        let here = std::env::current_dir().unwrap_or_default();
        let here = here.display();
        format!(
            "there is no module `{module}`: none is compiled in, and Python finds none in {here}"
        )
    };
    if module.split('.').any(str::is_empty) {
        return Err(no_module()); // `a..b`, or nothing
    }
    let imported = keeping_signals(py, || py.import(module));
    imported.map_err(|exception| {
        if is_missing(py, &exception, module) {
            return no_module();
        }
        let mut why = failed(py, &format!("import {module}"), &exception);
        if exception.is_instance_of::<PyModuleNotFoundError>(py) {
            why += &format!("; {}", environment());
        }
        why
    })
}
// ANCHOR_END: import

// ANCHOR: names
/// Whether it is this module that is missing, or a package on the way to it, and
/// not one that it imports.
fn is_missing(py: Python<'_>, exception: &PyErr, module: &str) -> bool {
    let name = exception.value(py).getattr("name");
    let name = name.and_then(|name| name.extract::<String>());
    let inside = |name: String| format!("{module}.").starts_with(&format!("{name}."));
    exception.is_instance_of::<PyModuleNotFoundError>(py) && name.is_ok_and(inside)
}

fn environment() -> String {
    match virtual_environment() {
        Ok(Some(folder)) => format!("the virtual environment is {}", folder.display()),
        _ => "no virtual environment is active".to_string(),
    }
}

/// Says Python's words at once, and gives ours.
fn failed(py: Python<'_>, doing: &str, exception: &PyErr) -> String {
    say(&traceback(py, exception));
    format!("{doing}: {}", line(py, exception))
}

/// What stands in a module under a path of names with dots between.
fn attribute<'py>(
    loaded: &Bound<'py, PyModule>,
    module: &str,
    path: &str,
) -> Result<Bound<'py, PyAny>, String> {
    let py = loaded.py();
    let mut object = loaded.clone().into_any();
    for name in path.split('.') {
        object = object.getattr(name).map_err(|exception| {
            if !exception.is_instance_of::<PyAttributeError>(py) {
                return failed(py, &format!("look for {module}:{path}"), &exception);
            }
            let there = match callables(loaded) {
                Ok(there) if !there.is_empty() => there.join(", "),
                _ => "nothing that can be called".to_string(),
            };
            format!("the module `{module}` has no `{path}`; it has {there}")
        })?;
    }
    Ok(object)
}

/// The callables that a module itself has made, and no classes.
fn callables(module: &Bound<'_, PyModule>) -> PyResult<Vec<String>> {
    let own = module.name()?;
    let mut names = Vec::new();
    for (name, value) in module.dict() {
        let name: String = name.extract()?;
        let shown =
            !name.starts_with('_') && value.is_callable() && !value.is_instance_of::<PyType>();
        // A function knows the module that it is from; an object has no such name.
        let foreign = match value.getattr_opt("__qualname__") {
            Ok(Some(_)) => !value.getattr("__module__")?.eq(&own)?,
            Ok(None) => false,
            Err(_) => true,
        };
        if shown && !foreign {
            names.push(name);
        }
    }
    Ok(names)
}

/// The arguments of a factory, from text such as `("production", debug=True)`.
/// They are constants, as gunicorn has it: a command line is no place for more.
fn constants<'py>(
    py: Python<'py>,
    arguments: &str,
) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
    let ast = py.import("ast")?;
    let parsed = ast.call_method1("parse", (format!("f{arguments}"), "", "eval"))?;
    let call = parsed.getattr("body")?;
    if !call.is_instance(&ast.getattr("Call")?)? {
        return Err(PySyntaxError::new_err("something follows them"));
    }
    let constant = |node| ast.call_method1("literal_eval", (node,));

    let mut positional = Vec::new();
    for argument in call.getattr("args")?.try_iter()? {
        positional.push(constant(argument?)?);
    }
    let named = PyDict::new(py);
    for keyword in call.getattr("keywords")?.try_iter()? {
        let keyword = keyword?;
        named.set_item(
            keyword.getattr("arg")?,
            constant(keyword.getattr("value")?)?,
        )?;
    }
    Ok((PyTuple::new(py, positional)?, named))
}
// ANCHOR_END: names

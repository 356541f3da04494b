//! With Python compiled in: where its library stands.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "python")]
    libpython();
}

/// A program finds `libpython` again when it starts by the folder in its *rpath*.
/// Without one it takes what the system offers under that name, which may belong
/// to another Python. What links the programs is the build script of their own
/// package, which reads this as `DEP_APPS_LIBPYTHON`.
#[cfg(feature = "python")]
fn libpython() {
    pyo3_build_config::add_libpython_rpath_link_args();
    let python = pyo3_build_config::get();
    if let (true, Some(folder)) = (python.shared(), python.lib_dir()) {
        println!("cargo::metadata=libpython={folder}");
    }
}

//! With Python compiled in: tells the programs where to find its library, as
//! `apps` has found it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(folder) = std::env::var("DEP_APPS_LIBPYTHON") {
        println!("cargo::rustc-link-arg-bins=-Wl,-rpath,{folder}");
    }
}

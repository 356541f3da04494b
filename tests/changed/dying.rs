// What ends each worker of `webserver4a` as soon as it has been forked (this text is put
// behind that program's).
fn end_children() {
    extern "C" fn end() {
        // SAFETY: _exit only ends the process.
        unsafe { libc::_exit(7) }
    }
    // SAFETY: the handler makes one call, which may be made after a fork.
    unsafe { libc::pthread_atfork(None, None, Some(end)) };
}

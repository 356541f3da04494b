//! How a process ends that has an application in it.

// ANCHOR: finish
/// What a server calls where its process ends, and a server that forks at the end
/// of each child: lets the threads of an application end, runs what it has
/// registered to be run at the end, and writes what stands in its buffers.
/// Without Python in the program there is nothing to do.
///
/// In a child that was forked between [`before_fork`](crate::before_fork) and
/// [`after_fork_in_child`](crate::Fork::after_fork_in_child) it runs what was
/// registered in that child alone, and leaves the parent's files to the parent.
pub fn finish() {
    #[cfg(feature = "python")]
    crate::python::finish();
}

/// For a server that has no other end than a signal: SIGINT and SIGTERM go on to
/// end the process, and it [finishes](finish) first. The second one of them ends it
/// at once.
pub fn finish_on_signals() {
    #[cfg(feature = "python")]
    crate::python::finish_on_signals();
}
// ANCHOR_END: finish

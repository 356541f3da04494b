"""What an application counts on when its process ends."""

import atexit
import concurrent.futures
import os
import threading
import time

from probes import PLAIN, note

served_by = os.getpid()
log = open("log", "w")
pool = concurrent.futures.ThreadPoolExecutor(2)


@atexit.register
def hook():
    note(f"a hook of the import, in its own process: {os.getpid() == served_by}")


def app(environ, start_response):
    """Leaves something to be done after the answer."""
    start_response("200 OK", PLAIN)
    what = environ["QUERY_STRING"]
    if what == "log":
        log.write("in a buffer\n")
    if what == "thread":
        threading.Thread(target=late).start()
    if what == "pool":
        pool.submit(late)
    if what == "hook":
        atexit.register(note, "a hook of the request")
    if what == "both":
        atexit.register(note, "a hook of the request")
        threading.Thread(target=late).start()
    if what == "slow":
        return slow()
    return [b"ok\n"]


def late():
    """A thread that the answer does not wait for."""
    while not os.path.exists("go"):
        time.sleep(0.005)
    note("a thread has ended")


def endless():
    while True:
        time.sleep(1)


def slow():
    """Is asked for its second half when a signal has come."""
    yield b"first "
    while not os.path.exists("go"):
        time.sleep(0.005)
    yield b"second"


def idles():
    threading.Thread(target=endless).start()
    return app


def waits_in_its_hook():
    @atexit.register
    def wait():
        note("a hook waits")
        endless()

    return app


def fails():
    @atexit.register
    def fail():
        raise ValueError("no such fruit")

    return app


def writes_for_ever():
    """A thread that never stops to write, into the errors of the first request."""

    def write(errors):
        while True:
            errors.write("x" * 60 + "\n")

    started = []

    def writing(environ, start_response):
        if not started:
            started.append(environ["wsgi.errors"])
            threading.Thread(target=write, args=started, daemon=True).start()
        environ["wsgi.errors"].write("a request\n")
        return app(environ, start_response)

    return writing


def terminates(environ, start_response):
    """Starts a process without exec, ends it with SIGTERM, and says how it ended."""
    import multiprocessing

    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join(10)
    start_response("200 OK", PLAIN)
    return [str(process.exitcode).encode()]

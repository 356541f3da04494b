"""Applications that each try one thing that PEP 3333 says.

What they see they write into files of the folder in which the server runs, or into
wsgi.errors, where the tests find it.
"""

import functools
import gc
import json
import operator
import os
import subprocess
import sys
import threading
import time

PLAIN = [("Content-Type", "text/plain")]
kept = []


def note(text):
    with open("notes", "a") as notes:
        notes.write(text + "\n")


def environ(environ, start_response):
    """The environ, each value as it is written in Python."""
    assert type(environ) is dict
    start_response("200 OK", PLAIN)
    shown = {name: ascii(value) for name, value in environ.items()}
    return [json.dumps(shown).encode()]


def reads(environ, start_response):
    """Reads in every way there is, and says what came."""
    stream = environ["wsgi.input"]
    seen = [stream.read(0), stream.read(3), stream.readline(), stream.readline(2)]
    seen += [stream.readlines(5), next(iter(stream)), stream.read(-1 if len(kept) else None)]
    seen += [stream.read(), stream.read(10), stream.readline(), stream.readlines(), list(stream)]
    start_response("200 OK", PLAIN)
    return [repr(seen).encode()]


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [body]


def digest(environ, start_response):
    """How many bytes came, and their sum, read in small pieces."""
    size = total = 0
    while chunk := environ["wsgi.input"].read(1000):
        size += len(chunk)
        total += sum(chunk)
    start_response("200 OK", PLAIN)
    return [f"{size} {total}".encode()]


def errors(environ, start_response):
    stream = environ["wsgi.errors"]
    count = stream.write("one \u2713\n")
    stream.writelines(["two\n", "three \udc80\n"])
    print("four", file=stream, flush=True)
    stream.flush()
    start_response("200 OK", PLAIN)
    return [str(count).encode()]


class Closing:
    """An iterable that notes when it is closed."""

    def __init__(self, chunks, close=None):
        self.chunks = chunks
        self.raises = close

    def __iter__(self):
        return iter(self.chunks)

    def close(self):
        note("closed")
        if self.raises:
            raise self.raises


def whole(environ, start_response):
    start_response("200 OK", PLAIN)
    return Closing([b"a", b"", b"b"])


def breaks(environ, start_response):
    """Fails after the first chunk, or before it."""
    start_response("200 OK", PLAIN)

    def chunks():
        if environ["QUERY_STRING"] != "early":
            yield b"first\n"
        raise ValueError("no such fruit")

    return Closing(chunks())


def close_raises(environ, start_response):
    start_response("200 OK", PLAIN)
    return Closing([b"all there"], OSError("cannot close"))


def not_iterable(environ, start_response):
    start_response("200 OK", PLAIN)
    return Closing(None)


def endless(environ, start_response):
    start_response("200 OK", PLAIN)

    def chunks():
        while True:
            yield b"x" * 100_000

    return Closing(chunks())


def paced(environ, start_response):
    """Gives a chunk for each file that the test makes."""
    start_response("200 OK", PLAIN)
    for number in range(3):
        while not os.path.exists(f"go{number}"):
            time.sleep(0.005)
        note(f"asked for {number}")
        yield f"chunk {number}\n".encode()


def late(environ, start_response):
    """Calls start_response when it is asked for its first chunk."""
    start_response("201 Created", PLAIN)
    yield b"late\n"


def nothing(environ, start_response):
    start_response("204 No Content", [])
    return []


def writes(environ, start_response):
    write = start_response("200 OK", PLAIN)
    write(b"written\n")
    write(b"")
    return [b"returned\n"]


def writes_much(environ, start_response):
    """Writes until its client has left, and says how that ends."""
    write = start_response("200 OK", PLAIN)
    try:
        while True:
            write(b"x" * 100_000)
    except OSError as error:
        note(type(error).__name__)
    return []


def wrapped(environ, start_response):
    file = open(__file__, "rb")
    start_response("200 OK", PLAIN)
    wrapper = environ["wsgi.file_wrapper"]
    kept.append(file)
    if environ["QUERY_STRING"] == "small":
        return wrapper(file, 10)
    return wrapper(file)


def kept_is_closed(environ, start_response):
    start_response("200 OK", PLAIN)
    return [repr([file.closed for file in kept]).encode()]


def wrapped_unclosable(environ, start_response):
    class Once:
        chunks = [b"one", b"two", b""]

        def read(self, size):
            return self.chunks.pop(0)

    start_response("200 OK", PLAIN)
    return environ["wsgi.file_wrapper"](Once())


def start(environ, start_response):
    """Calls start_response wrongly, in the way that the query names, and says
    what that raises."""

    class Text(str):
        pass

    wrong = {
        "status_bytes": lambda: start_response(b"200 OK", PLAIN),
        "status_none": lambda: start_response(None, PLAIN),
        "status_short": lambda: start_response("200", PLAIN),
        "status_odd": lambda: start_response("700 Odd", PLAIN),
        "status_interim": lambda: start_response("103 Early Hints", PLAIN),
        "status_wide": lambda: start_response("200 \u2713", PLAIN),
        "status_line": lambda: start_response("200 OK\r\nX: y", PLAIN),
        "headers_tuple": lambda: start_response("200 OK", tuple(PLAIN)),
        "headers_dict": lambda: start_response("200 OK", dict(PLAIN)),
        "header_list": lambda: start_response("200 OK", [["X-A", "b"]]),
        "header_three": lambda: start_response("200 OK", [("X-A", "b", "c")]),
        "name_bytes": lambda: start_response("200 OK", [(b"X-A", "b")]),
        "name_wrong": lambda: start_response("200 OK", [("X A", "b")]),
        "value_bytes": lambda: start_response("200 OK", [("X-A", b"b")]),
        "value_int": lambda: start_response("200 OK", [("Content-Length", 5)]),
        "value_wide": lambda: start_response("200 OK", [("X-A", "\u2713")]),
        "value_surrogate": lambda: start_response("200 OK", [("X-A", "\udc80")]),
        "value_line": lambda: start_response("200 OK", [("X-A", "b\r\nX-C: d")]),
        "value_nul": lambda: start_response("200 OK", [("X-A", "b\0")]),
        "hop": lambda: start_response("200 OK", [("Connection", "keep-alive")]),
        "hop_te": lambda: start_response("200 OK", [("transfer-encoding", "chunked")]),
        "exc_info_wrong": lambda: start_response("200 OK", PLAIN, ValueError("x")),
        "exc_info_none": lambda: start_response("200 OK", PLAIN, (None, None, None)),
        "exc_info_empty": lambda: start_response("200 OK", PLAIN, ()),
        "exc_info_two": lambda: start_response("200 OK", PLAIN, (ValueError, ValueError("x"))),
        "exc_info_list": lambda: start_response("200 OK", PLAIN, [ValueError, ValueError("x"), None]),
        "exc_info_text": lambda: start_response("200 OK", PLAIN, (ValueError, "x", None)),
        "exc_info_class": lambda: start_response("200 OK", PLAIN, (ValueError, ValueError, None)),
        "exc_info_half": lambda: start_response("200 OK", PLAIN, (ValueError, None, None)),
        "exc_info_other": lambda: start_response("200 OK", PLAIN, (KeyError, ValueError("x"), None)),
        "exc_info_number": lambda: start_response("200 OK", PLAIN, (5, ValueError("x"), None)),
        "exc_info_place": lambda: start_response("200 OK", PLAIN, (ValueError, ValueError("x"), 5)),
        "exc_info_nowhere": lambda: start_response("200 OK", PLAIN, (ValueError, ValueError("x"), None)),
        "exc_info_base": lambda: start_response("200 OK", PLAIN, (Exception, ValueError("x"), None)),
        "twice": lambda: [start_response("200 OK", PLAIN), start_response("200 OK", PLAIN)],
        "nothing": lambda: start_response(),
        "write_str": lambda: start_response("200 OK", PLAIN)("text"),
        "latin_1": lambda: start_response("200 OK", PLAIN + [("X-A", "\xe9")]),
        "subclass": lambda: start_response(Text("200 OK"), PLAIN + [("X-A", Text("b"))]),
        "keyword": lambda: start_response(status="200 OK", headers=PLAIN, exc_info=None),
    }
    try:
        wrong[environ["QUERY_STRING"]]()
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        try:
            raise error
        except Exception:
            start_response("200 OK", PLAIN, sys.exc_info())
        return [said.encode()]
    return [b"it was taken"]


def replaced(environ, start_response):
    """Fails between start_response and the first byte, and says something else."""
    start_response("200 OK", PLAIN + [("X-Old", "1")])
    try:
        raise ValueError("no such fruit")
    except ValueError:
        start_response("503 Service Unavailable", PLAIN + [("X-New", "1")], sys.exc_info())
    return [b"come back later"]


def reraised(environ, start_response):
    """Fails after its first byte: start_response raises its own error again."""
    start_response("200 OK", PLAIN)
    yield b"first\n"
    mine = ValueError("no such fruit")
    try:
        raise mine
    except ValueError:
        try:
            start_response("503 Service Unavailable", PLAIN, sys.exc_info())
        except ValueError as error:
            names = []
            place = error.__traceback__
            while place:
                names.append(place.tb_frame.f_code.co_name)
                place = place.tb_next
            note(f"the same: {error is mine}, raised in {names[-1]}")
            raise


def nothing_was_handled(environ, start_response):
    """Gives sys.exc_info() outside of an except: first in time, and then too late."""
    start_response("500 Old", PLAIN)
    start_response("200 New", PLAIN, sys.exc_info())
    yield b"first\n"
    try:
        start_response("503 Service Unavailable", PLAIN, sys.exc_info())
    except Exception as error:
        yield f"{type(error).__name__}: {error}\n".encode()


def answers(environ, start_response):
    """Answers in the way that the query names."""
    how = environ["QUERY_STRING"]
    fields = {
        "events": [("Content-Type", "text/event-stream"), ("Connection", "keep-alive")],
        "chunked": PLAIN + [("Transfer-Encoding", "chunked")],
        "umlaut": PLAIN,
    }.get(how, PLAIN + [("Content-Length", "5")])
    start_response("200 Sch\xf6n" if how == "umlaut" else "200 OK", fields)
    if how == "file":
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    return {"chunks": [b"abc", b"defgh"], "chunk": [b"abcdefgh"]}.get(how, [b"data: 1\n\n"])


def path_in_the_log(environ, start_response):
    """Tells the operator of the path, as Flask does, and fails with it."""
    environ["wsgi.errors"].write(f"Exception on {environ['PATH_INFO']}\n")
    environ["wsgi.errors"].writelines([f"and on {environ['PATH_INFO']}\n"])
    raise LookupError(f"nothing\nat {environ['PATH_INFO']}")


def raises(environ, start_response):
    """Raises what the query names."""
    if environ["QUERY_STRING"] == "SystemExit":
        sys.exit(3)
    if environ["QUERY_STRING"] == "KeyboardInterrupt":
        raise KeyboardInterrupt
    if environ["QUERY_STRING"] == "Unprintable":

        class Unprintable(Exception):
            def __str__(self):
                raise ValueError("no words")

        raise Unprintable
    if environ["QUERY_STRING"] == "escape":
        raise ValueError("\x1b[2Jgone\nX")
    try:
        raise KeyError("the cause")
    except KeyError as error:
        raise ValueError("no such fruit") from error


def exits_late(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b"first\n"
    sys.exit(3)


def chunk(environ, start_response):
    """A body that is wrong in the way that the query names."""
    start_response("200 OK", PLAIN)
    return {
        "str": ["text"],
        "bytearray": [bytearray(b"text")],
        "none": [None],
        "plain_str": "text",
        "plain_bytes": b"text",
        "no_body": None,
        "number": 5,
    }[environ["QUERY_STRING"]]


def never_starts(environ, start_response):
    return [b"text"]


def keeps(environ, start_response):
    """Keeps what belongs to a request, and uses what it kept before."""
    said = []
    for old_environ, old_start, old_write in kept:
        for use in (
            lambda: old_environ["wsgi.input"].read(),
            lambda: old_write(b"more"),
            lambda: old_start("200 OK", PLAIN),
        ):
            try:
                said.append(repr(use()))
            except Exception as error:
                said.append(f"{type(error).__name__}: {error}")
    kept.clear()
    write = start_response("200 OK", PLAIN)
    kept.append((environ, start_response, write))
    return [chunk.encode() + b"\n" for chunk in said]


def leaves_a_cycle(environ, start_response):
    """Raises with everything of the request held by the traceback, in a cycle."""
    gc.disable()
    try:
        raise ValueError("no such fruit")
    except ValueError as error:
        here = error
        kept.append(here)
        raise


def other_thread_runs(environ, start_response):
    """How often another thread gets to run while this one waits for its client."""
    ticks = 0
    over = threading.Event()

    def tick():
        nonlocal ticks
        while not over.wait(0.001):
            ticks += 1
            if ticks == 50:
                note("50 ticks")

    thread = threading.Thread(target=tick)
    thread.start()
    if environ["QUERY_STRING"] == "write":
        write = start_response("200 OK", PLAIN)
        for _ in range(1000):  # more than the system keeps for a client
            write(b"x" * 100_000)
        body = b""
    else:
        environ["wsgi.input"].read()
        start_response("200 OK", PLAIN)
        body = b"read"
    over.set()
    thread.join()
    return [body]


answered = []
three = threading.Event()


def meanwhile(environ, start_response):
    """How many others are answered while a thread computes, and while it waits for three of
    them. The counts stand in one call of C's with that, so that nobody comes between."""
    long = {
        "/compute": functools.partial(max, range(10_000_000)),
        "/wait": three.wait,
    }.get(environ["PATH_INFO"])
    text = ""
    if long:
        calls = [answered.__len__, long, answered.__len__]
        before, _, after = tuple(map(operator.methodcaller("__call__"), calls))
        text = str(after - before)
    else:
        answered.append(1)
        if len(answered) == 6:
            three.set()
    start_response("200 OK", PLAIN)
    return [text.encode()]


def flags(environ, start_response):
    start_response("200 OK", PLAIN)
    names = ["wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once"]
    return [repr([environ[name] for name in names]).encode()]


def interpreter(environ, start_response):
    """Whether this process is a whole interpreter: threads, imports, random
    numbers, subprocesses."""
    import random
    import subprocess

    done = []
    thread = threading.Thread(target=lambda: done.append("ran"))
    thread.start()
    thread.join()
    said = {
        "pid": os.getpid(),
        "threads": [thread.name for thread in threading.enumerate()],
        "main": threading.current_thread() is threading.main_thread(),
        "thread": done,
        "random": random.random(),
        "subprocess": subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True)
        .stdout.decode(),
        "requests": len(kept),
        "hooks": hooks,
        "prefix": sys.prefix,
        "argv": sys.argv,
        "path": sys.path[0],
    }
    kept.append(None)
    start_response("200 OK", PLAIN)
    return [json.dumps(said).encode()]


hooks = []
os.register_at_fork(
    before=lambda: hooks.append("before"),
    after_in_parent=lambda: hooks.append("parent"),
    after_in_child=lambda: hooks.append("child"),
)


def background():
    """A thread that never rests, holds Python's lock, and a lock of its own."""
    while True:
        with lock:
            sum(range(1000))


lock = threading.Lock()
os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


def with_background_thread():
    threading.Thread(target=background, name="background", daemon=True).start()
    return interpreter


def prints(environ, start_response):
    print("said by the application")
    start_response("200 OK", PLAIN)
    return [b"ok"]


def child_status(environ, start_response):
    """Runs a program that ends with 3, and asks only when it has ended."""
    start_response("200 OK", PLAIN)
    child = subprocess.Popen(["sh", "-c", "exit 3"])
    ps = ["ps", "-o", "stat=", "-p", str(child.pid)]
    while subprocess.run(ps, stdout=subprocess.PIPE).stdout.strip()[:1] not in (b"Z", b""):
        time.sleep(0.01)
    return [str(child.wait()).encode()]

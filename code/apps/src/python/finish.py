"""What an application can count on at the end of its process."""

import atexit
import gc
import sys
import threading
from _io import _IOBase  # of which all files are, those of `io` and others


def finish(patience):
    """Does it, and says whether all threads ended in so many seconds, or None."""
    ended = end_threads(patience)
    atexit._run_exitfuncs()
    flush(gc.get_objects())  # the collector knows of every file
    return ended


def finish_child():
    """The same in a child, whose files may have what their parent will write."""
    wait_for_threads()
    atexit._run_exitfuncs()
    flush([sys.stdout, sys.stderr])


def end_threads(patience):
    # Waiting cannot be interrupted, so somebody else waits.
    waiting = threading.Thread(target=wait_for_threads, daemon=True)
    waiting.start()
    waiting.join(patience)
    return not waiting.is_alive()


def wait_for_threads():
    """Waits until there are only daemons left, and the main thread."""
    for tell in reversed(threading._threading_atexits):
        tell()  # the threads of concurrent.futures: nothing more will come
    while threads := [thread for thread in threading.enumerate() if counts(thread)]:
        for thread in threads:
            thread.join()


def counts(thread):
    return not thread.daemon and thread is not threading.main_thread()


def flush(objects):
    for each in objects:
        if issubclass(type(each), _IOBase):
            try:
                each.flush()
            except (OSError, ValueError):
                pass  # a disk that is full, a file that is closed

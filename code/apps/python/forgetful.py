"""An application that keeps in memory what it should remember.

    webserver3h forgetful:app
"""

# ANCHOR: remembers
import atexit
import queue
import threading

locked = set()  # a lock
mails = queue.Queue()
sent = []  # a counter
log = open("forgetful.log", "a")  # a buffer


def send():
    while True:
        sent.append(mails.get())


threading.Thread(target=send, daemon=True).start()  # a worker


@atexit.register
def hook():
    log.write(f"hook: {len(sent)} sent\n")
# ANCHOR_END: remembers


# ANCHOR: app
def app(environ, start_response):
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    status, said = "200 OK", "nothing to do"
    if method == "LOCK":
        locked.add(path)
        said = "locked"
    elif method == "DELETE" and path in locked:
        status = "423 Locked"
        said = "423 somebody has locked it"
    elif method == "DELETE":
        said = "deleted"
    elif path == "/mail":
        log.write(f"{method} {path}\n")
        mails.put("Dear Ada")
        said = "in the queue"
    elif path == "/sent":
        said = f"{len(sent)} sent"
    start_response(status, [("Content-Type", "text/plain")])
    return [f"{said}\n".encode()]
# ANCHOR_END: app

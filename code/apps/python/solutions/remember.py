"""Counts its visitors in a file, whichever process they come to.

    webserver3h remember:app
"""

# ANCHOR: app
import fcntl

FILE = "visitors.txt"


def count():
    with open(FILE, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
        file.seek(0)
        visitors = int(file.read() or 0) + 1
        file.truncate(0)
        file.write(f"{visitors}\n")
    return visitors


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"visitor {count()}\n".encode()]
# ANCHOR_END: app

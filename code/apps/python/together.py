"""Ways to take a while: to wait for others, to sleep, and to compute.

    webserver4b together:app --workers 1 --threads 4
"""

# ANCHOR: app
import threading
import time

four = threading.Barrier(4)
answered = 0


def app(environ, start_response):
    global answered
    path, before = environ["PATH_INFO"], answered
    if path == "/meet":
        four.wait()  # until four have come to this line
    elif path == "/sleep":
        time.sleep(1)
    elif path == "/compute":
        max(range(50_000_000))
    text = f"answered meanwhile: {answered - before}\n"
    answered += 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]
# ANCHOR_END: app

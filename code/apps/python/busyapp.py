"""An application with a thread of its own, which never rests.

    webserver3h busyapp:app
"""

# ANCHOR: busy
import threading
import time

count = 0


def work():
    global count
    while True:
        count += 1


threading.Thread(target=work, name="worker", daemon=True).start()
# ANCHOR_END: busy


# ANCHOR: app
def app(environ, start_response):
    threads = ", ".join(thread.name for thread in threading.enumerate())
    before = count
    time.sleep(0.05)
    counting = "grows" if count > before else "stands still"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"threads: {threads}; the count {counting}\n".encode()]
# ANCHOR_END: app

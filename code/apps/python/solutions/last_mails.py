"""An application that sends mails after it has answered, and all of them.

    webserver2 last_mails:app
"""

# ANCHOR: mailer
import atexit
import queue
import threading
import time

mails = queue.Queue()
sent = open("sent.txt", "a")


def send():
    while mail := mails.get():
        time.sleep(2)  # so long does a mail take
        sent.write(f"{mail}\n")


worker = threading.Thread(target=send, daemon=True)
worker.start()


@atexit.register
def send_the_rest():
    mails.put(None)  # after all that wait
    worker.join()
# ANCHOR_END: mailer


def app(environ, start_response):
    mails.put(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"in the queue\n"]

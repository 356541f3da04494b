"""An application that sends mails after it has answered, in a thread of its own.

    webserver2 mailer:app
"""

import queue
import threading
import time

mails = queue.Queue()
sent = open("sent.txt", "a")


def send():
    while True:
        mail = mails.get()
        time.sleep(2)  # so long does a mail take
        sent.write(f"{mail}\n")


worker = threading.Thread(target=send, daemon=True)
worker.start()


def app(environ, start_response):
    mails.put(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"in the queue\n"]

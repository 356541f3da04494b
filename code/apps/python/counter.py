"""An application that counts its visitors.

    webserver2 counter:app
"""

visitors = 0


def count():
    global visitors
    visitors += 1
    return visitors


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"visitor {count()}\n".encode()]

"""An application that keeps what it was lent.

    webserver2 lender:app
"""

kept = []


def app(environ, start_response):
    kept.append(environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield f"{len(kept)} kept\n".encode()

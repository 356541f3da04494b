"""An application that keeps what it was lent.

    webserver2 lender:app
"""

# ANCHOR: app
kept = []


def app(environ, start_response):
    kept.append(environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield f"{len(kept)} kept\n".encode()
# ANCHOR_END: app

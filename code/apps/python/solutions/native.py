"""Greets whoever the path names.

    webserver2 native:app
"""

# ANCHOR: app
PLAIN = [("Content-Type", "text/plain; charset=utf-8")]


def app(environ, start_response):
    path = environ["PATH_INFO"].encode("latin-1")
    try:
        name = path.decode("utf-8").removeprefix("/")
    except UnicodeDecodeError:
        start_response("404 Not Found", PLAIN)
        return [b"Nobody has a name like that.\n"]
    start_response("200 OK", PLAIN)
    return [f"Hello, {name or 'World'}!\n".encode("utf-8")]
# ANCHOR_END: app

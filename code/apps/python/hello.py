"""The smallest application.

    webserver2 hello:app
"""


# ANCHOR: app
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"Hello from Python!\n"]
# ANCHOR_END: app

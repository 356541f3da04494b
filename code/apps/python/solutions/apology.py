"""Middleware that apologises for an application that fails, while it is not too late."""

# ANCHOR: app
import sys

PLAIN = [("Content-Type", "text/plain")]


def apologises(app):
    def asked(environ, start_response):
        body = None
        try:
            body = app(environ, start_response)
            yield from body
        except Exception:
            # Raises the exception again, if the head has left.
            start_response("500 Internal Server Error", PLAIN, sys.exc_info())
            yield b"Sorry.\n"
        finally:
            if hasattr(body, "close"):
                body.close()

    return asked
# ANCHOR_END: app

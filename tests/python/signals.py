"""Takes Ctrl-C and SIGTERM when it is imported, and makes a loop that does so too."""

import asyncio
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, lambda *_: None)


def make_app():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return app


def app(environ, start_response):
    async def answer():
        return b"ok"

    start_response("200 OK", [("Content-Type", "text/plain")])
    return [asyncio.run(answer())]

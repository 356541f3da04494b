"""An application that draws a number.

    webserver3h lucky:app
"""

import random


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{random.randrange(10**9)}\n".encode()]

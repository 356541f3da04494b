"""An application that asks its own server for a page.

    webserver2 selfish:app
"""

# ANCHOR: app
from urllib.request import urlopen


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/quiet":
        return [b"nothing in particular"]
    try:
        heard = urlopen(f"http://{environ['HTTP_HOST']}/quiet", timeout=1).read().decode()
    except OSError as error:
        heard = str(error)
    return [f"I asked myself, and heard: {heard}\n".encode()]
# ANCHOR_END: app

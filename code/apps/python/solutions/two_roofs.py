"""Two frameworks in one server, each under a prefix.

    webserver2 two_roofs:app
"""

# ANCHOR: app
import djangoapp
import flaskapp

ROOFS = {"/flask": flaskapp.app, "/django": djangoapp.app}


def app(environ, start_response):
    path = environ["PATH_INFO"]
    for prefix, inside in ROOFS.items():
        if path == prefix or path.startswith(prefix + "/"):
            environ["SCRIPT_NAME"] += prefix
            environ["PATH_INFO"] = path.removeprefix(prefix)
            return inside(environ, start_response)
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"There is nothing under this roof.\n"]
# ANCHOR_END: app

"""A WSGI application by hand, in a few routes.

    webserver2 python:wsgiapp:app

The name begins with python: because the course has a wsgiapp of its own in Rust.
"""

import json
from http.cookies import SimpleCookie
from urllib.parse import parse_qs


# ANCHOR: app
def app(environ, start_response):
    routes = {"/hello": hello, "/greet": greet, "/environ": show, "/visits": visits}
    route = routes.get(environ["PATH_INFO"], not_found)
    status, headers, body = route(environ)
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), *headers])
    return [body.encode()]
# ANCHOR_END: app


# ANCHOR: routes
def hello(environ):
    return "200 OK", [], "Hello world from a simple WSGI application!\n"


def greet(environ):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    form = parse_qs(environ["wsgi.input"].read(length).decode())
    return "200 OK", [], f"Hello, {form.get('name', ['stranger'])[0]}!\n"


def show(environ):
    return "200 OK", [], json.dumps(environ, default=repr, indent=1) + "\n"


def visits(environ):
    cookies = SimpleCookie(environ.get("HTTP_COOKIE", ""))
    count = int(cookies["visits"].value) + 1 if "visits" in cookies else 1
    return "200 OK", [("Set-Cookie", f"visits={count}")], f"Visit {count}\n"


def not_found(environ):
    return "404 Not Found", [], f"There is no {environ['PATH_INFO']} here.\n"
# ANCHOR_END: routes

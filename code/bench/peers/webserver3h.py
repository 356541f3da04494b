"""A process for each request, in Python; a peer to measure webserver3h by.

    python3 webserver3h.py module:callable 127.0.0.1:8888

wsgiref's server with a fork for each request, both of them the standard library's.
"""

import importlib
import os
import socketserver
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer


class Server(socketserver.ForkingMixIn, WSGIServer):
    max_children = 10_000  # as many as come
    request_queue_size = 1024


def main():
    name, address = sys.argv[1:]
    module, _, callable = name.partition(":")
    sys.path.insert(0, os.getcwd())
    application = getattr(importlib.import_module(module), callable)
    host, _, port = address.rpartition(":")
    server = Server((host, int(port)), WSGIRequestHandler)
    server.set_app(application)
    server.serve_forever()


if __name__ == "__main__":
    main()

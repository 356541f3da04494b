"""Applications that fail, in the middleware of the module that `answer.txt` names."""

from importlib import import_module

from probes import PLAIN, note

with open("answer.txt") as file:
    apologises = import_module(file.read()).apologises


@apologises
def at_once(environ, start_response):
    raise ValueError("no such fruit")


@apologises
def started(environ, start_response):
    start_response("200 OK", PLAIN)
    raise ValueError("no such fruit")


@apologises
def generator(environ, start_response):
    start_response("200 OK", PLAIN)
    if environ:
        raise ValueError("no such fruit")
    yield b"never\n"


@apologises
def late(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b"first\n"
    raise ValueError("no such fruit")


class Whole:
    def __init__(self):
        self.chunks = iter([b"a", b"b", b"\n"])

    def __iter__(self):
        return self.chunks

    def close(self):
        note("closed")


@apologises
def whole(environ, start_response):
    start_response("200 OK", PLAIN)
    return Whole()

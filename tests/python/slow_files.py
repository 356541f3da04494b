"""The application of the module that `answer.txt` names, for which a file is slow to
read: two who read it at once then do so at once each time.
"""

import builtins
import io
import time
from importlib import import_module

with open("answer.txt") as file:
    name = file.read()


def slowly(*arguments, _open=io.open, **named):
    file = _open(*arguments, **named)
    read = file.read

    def read_slowly(*arguments):
        content = read(*arguments)
        time.sleep(0.02)
        return content

    file.read = read_slowly
    return file


app_of = import_module(name)
builtins.open = io.open = slowly


def app(environ, start_response):
    return app_of.app(environ, start_response)

"""The applications, each asked without the variable that the query names.

    webserver2 without:flask
    curl 'http://127.0.0.1:8888/hello?wsgi.input'
"""

import djangoapp
import flaskapp
import pyramidapp


# ANCHOR: without
def without(app):
    def asked(environ, start_response):
        environ.pop(environ["QUERY_STRING"], None)
        return app(environ, start_response)

    return asked


flask = without(flaskapp.app)
pyramid = without(pyramidapp.app)
django = without(djangoapp.app)
# ANCHOR_END: without

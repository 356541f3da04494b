"""The applications, each inside the validator of Python's own library.

    webserver2 checked:flask
"""

# ANCHOR: checked
from wsgiref.validate import validator

import djangoapp
import flaskapp
import pyramidapp
import wsgiapp

wsgi = validator(wsgiapp.app)
flask = validator(flaskapp.app)
pyramid = validator(pyramidapp.app)
django = validator(djangoapp.app)
# ANCHOR_END: checked

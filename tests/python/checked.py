"""The applications, each inside the validator of Python's own library."""

from wsgiref.validate import validator

import djangoapp
import flaskapp
import probes
import pyramidapp
import wsgiapp

wsgi = validator(wsgiapp.app)
flask = validator(flaskapp.app)
pyramid = validator(pyramidapp.app)
django = validator(djangoapp.app)
echo = validator(probes.digest)
late = validator(probes.late)
whole = validator(probes.whole)
writes = validator(probes.writes)

"""A project of Django's, under the name that the others have.

    webserver2 djangoapp:app
"""

from helloworld.wsgi import application as app  # noqa: F401

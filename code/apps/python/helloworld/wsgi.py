import os

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "helloworld.settings")
application = get_wsgi_application()

# A site would leave this to `python manage.py migrate`. Ours makes its tables when
# it finds none, so that a reader has one command less.
call_command("migrate", verbosity=0)
connections.close_all()  # a process that forks would share it with its children

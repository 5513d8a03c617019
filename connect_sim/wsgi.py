"""The WSGI application, served by waitress."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
application = get_wsgi_application()

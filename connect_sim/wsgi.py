"""Django's WSGI application, which the web server runs in threads."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
application = get_wsgi_application()

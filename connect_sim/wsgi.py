"""Django's WSGI application, which the web server runs in thread pools."""

import os

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

# A handler may be a Django project too, and have set its own.
os.environ["DJANGO_SETTINGS_MODULE"] = "connect_sim.settings"
application = get_wsgi_application()

# Requires loaded apps. Other WSGI servers do not run the system checks.
from connect_sim import checks  # noqa: E402
from requests_queue.db import garbage  # noqa: E402

if errors := checks.serious_errors():
    raise ImproperlyConfigured("\n".join(str(error) for error in errors))

garbage.tune()

"""Django's WSGI application, which the web server runs in threads."""

import os

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
application = get_wsgi_application()

# After the apps are loaded. A server other than ours runs no system checks.
from connect_sim import checks  # noqa: E402

if errors := checks.serious():
    raise ImproperlyConfigured("\n".join(str(error) for error in errors))

"""Django's WSGI application, which the web server runs in thread pools."""

import gc
import os

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

# A handler may be a Django project too, and have set its own.
os.environ["DJANGO_SETTINGS_MODULE"] = "connect_sim.settings"
application = get_wsgi_application()

# Requires loaded apps. Other WSGI servers do not run the system checks.
from connect_sim import checks  # noqa: E402

if errors := checks.serious_errors():
    raise ImproperlyConfigured("\n".join(str(error) for error in errors))

# A page of a list makes thousands of objects, and garbage collections took a sixth of its CPU time:
# leave out what is loaded by now, and collect less often, because views are loaded later.
gc.freeze()
gc.set_threshold(50_000, 10, 10)

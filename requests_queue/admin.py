"""Admin pages of the queues: one for each registered queue.

Django imports this module after all apps are ready, so every queue is registered.
"""

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm

from requests_queue.catalog.sign_in_limits import LimitedSignIn
from requests_queue.queues import base
from requests_queue.queues.admin import QueueAdmin


class AdminSignIn(LimitedSignIn, AdminAuthenticationForm):
    """The sign-in form of the admin, with the limits on failed attempts."""


admin.site.login_form = AdminSignIn
admin.site.site_header = admin.site.site_title = "Connect Sim"

for queue in base.registered():
    if not admin.site.is_registered(queue.model):
        admin.site.register(queue.model, QueueAdmin)

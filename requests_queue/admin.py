"""The queues in the admin: a page for each that is registered, so a new one needs no line here.

Django finds this module when every app is ready, and so every queue's registration is done.
"""

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm

from requests_queue.catalog.sign_in_limits import LimitedSignIn
from requests_queue.queues import base
from requests_queue.queues.admin import QueueAdmin


class AdminSignIn(LimitedSignIn, AdminAuthenticationForm):
    """The admin's form of name and password, within the limits of failed tries."""


admin.site.login_form = AdminSignIn
admin.site.site_header = admin.site.site_title = "Connect Sim"

for queue in base.registered():
    if not admin.site.is_registered(queue.model):
        admin.site.register(queue.model, QueueAdmin)

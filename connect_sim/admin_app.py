"""The app of Django's admin, which a worker has installed, but doesn't need."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks


class AdminConfig(SimpleAdminConfig):
    """Load the apps' `admin` modules with the URLs or the checks of the admin, not at the start.

    They take 5 MiB of a worker, which uses neither.
    """

    def ready(self) -> None:
        """Register the system checks."""
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_registered, checks.Tags.admin)


def _check_registered(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    admin.autodiscover()
    return list(check_admin_app(app_configs, **kwargs))

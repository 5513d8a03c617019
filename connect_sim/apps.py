"""The app of the project: its commands and system checks."""

from django.apps import AppConfig

from connect_sim import installation

# Fields, pages and clients that we don't use: 10 MiB, and a tenth of the time of a start. Before
# any model, since ours import Django REST framework.
installation.import_without(
    "rest_framework.compat", "django.contrib.postgres", "pygments", "requests"
)


class ConnectSimConfig(AppConfig):
    """Register the commands and checks."""

    name = "connect_sim"
    verbose_name = "Connect Sim"
    asgi_middleware = ("connect_sim.request_operations.identify_requests",)

    def ready(self) -> None:
        """Register the system checks, and the Celery application as the current one."""
        from connect_sim import celery, checks  # noqa: F401  (both register on import)

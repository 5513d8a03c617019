"""The app of the project: its commands and system checks."""

from django.apps import AppConfig

from connect_sim import hidden_packages

# Django REST framework would load them for pages, fields and a test client that we don't use, and
# kombu for a serializer: up to 5 MiB of each process. Before any model is loaded, since models
# import the framework.
hidden_packages.import_without(
    "rest_framework.compat", "pygments", "django.contrib.postgres", "requests", "yaml"
)
hidden_packages.import_without("kombu.serialization", "yaml")


class ConnectSimConfig(AppConfig):
    """Register the commands and checks."""

    name = "connect_sim"
    verbose_name = "Connect Sim"
    asgi_middleware = ("connect_sim.request_operations.identify_requests",)

    def ready(self) -> None:
        """Register the system checks, and the Celery application as the current one."""
        from connect_sim import celery, checks  # noqa: F401  (both register on import)

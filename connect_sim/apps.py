"""The app of the project: its commands and system checks."""

from django.apps import AppConfig


class ConnectSimConfig(AppConfig):
    """Register the commands and checks."""

    name = "connect_sim"
    verbose_name = "Connect Sim"
    asgi_middleware = ("connect_sim.request_operations.identify_requests",)

    def ready(self) -> None:
        """Register the system checks, and the Celery application as the current one."""
        from connect_sim import celery, checks  # noqa: F401  (both register on import)

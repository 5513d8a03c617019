"""The composition's own app: its commands and checks."""

from django.apps import AppConfig


class ConnectSimConfig(AppConfig):
    """Settings, URLs, Celery, the embedded runtime."""

    name = "connect_sim"
    verbose_name = "Connect Sim"

    def ready(self) -> None:
        """Register the system checks."""
        from connect_sim import checks  # noqa: F401  (registers on import)

"""The Django app of extensions."""

from django.apps import AppConfig


class ExtensionsConfig(AppConfig):
    """Tasks for extension runners, their websocket, and the API that they call."""

    name = "extensions"
    verbose_name = "Extensions"
    default_auto_field = "django.db.models.BigAutoField"
    asgi_routes = {"/public/v1/devops/ws": "extensions.gateway.endpoint"}
    asgi_lifespan = ("extensions.gateway.lifespan",)

    def ready(self) -> None:
        """Connect the signal receivers, and register pruning."""
        from extensions import pruning, receivers  # noqa: F401  (connects on import)
        from requests_queue.db import retention

        retention.KINDS.extend((pruning.TASKS, pruning.RUNS, pruning.Runners()))

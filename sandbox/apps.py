"""The sandbox: a movable clock and tools for authors of handlers."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """`/sandbox/…` and its commands; not installed with SIM_PROFILE=server."""

    name = "sandbox"
    asgi_middleware = ("sandbox.activity.count_api_calls",)
    asgi_lifespan = ("sandbox.api_calls.lifespan",)

    def ready(self) -> None:
        """Connect signal receivers, and add our handler and panels to the portal."""
        from portal.home.first_steps import READY_HANDLERS, ReadyHandler
        from sandbox import clock_control, holds, panels, receivers  # noqa: F401
        from sandbox.listener import PORT

        panels.register()
        command = ".venv/bin/python manage.py listen --approve"
        READY_HANDLERS.append(ReadyHandler(command, f"http://127.0.0.1:{PORT}/"))

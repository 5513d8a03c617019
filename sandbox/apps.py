"""The sandbox: a movable clock and tools for authors of handlers."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """`/sandbox/…` and its commands; not installed with SIM_PROFILE=server."""

    name = "sandbox"

    def ready(self) -> None:
        """Connect signal receivers, and offer our handler on the home page."""
        from portal.home.first_steps import READY_HANDLERS, ReadyHandler
        from sandbox import clock_control, holds, receivers  # noqa: F401
        from sandbox.listener import PORT

        command = ".venv/bin/python manage.py listen --approve"
        READY_HANDLERS.append(ReadyHandler(command, f"http://127.0.0.1:{PORT}/"))

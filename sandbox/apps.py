"""What only a sandbox has: a clock that can be moved, and tools for handler authors."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """`/sandbox/…` and its commands; not installed under the server profile."""

    name = "sandbox"

    def ready(self) -> None:
        """Listen for the platform's signals, and offer newcomers our handler."""
        from portal.home.first_steps import READY_HANDLERS, ReadyHandler
        from sandbox import time  # noqa: F401
        from sandbox.listener import PORT

        command = ".venv/bin/python manage.py listen --approve"
        READY_HANDLERS.append(ReadyHandler(command, f"http://127.0.0.1:{PORT}/"))

"""What only a sandbox has: a clock that can be moved, and tools for handler authors."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """`/sandbox/…` and its commands; not installed under the server profile."""

    name = "sandbox"

    def ready(self) -> None:
        """Listen for the platform's signals."""
        from sandbox import time  # noqa: F401

"""The sandbox: a movable clock and tools for authors of handlers."""

from pathlib import Path

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """`/sandbox/…` and its commands; not installed with SIM_PROFILE=server."""

    name = "sandbox"
    # Requests that wait at the gate are not in flight yet.
    asgi_middleware = ("sandbox.gate.wait_at_gate", "sandbox.activity.count_api_calls")
    asgi_lifespan = ("sandbox.api_calls.lifespan", "sandbox.check_runs.process.lifespan")

    def ready(self) -> None:
        """Connect signal receivers, and add our handler and panels to the portal."""
        from portal import media
        from portal.commands import COMMANDS, LOOKUPS
        from portal.home.first_steps import COMMAND_LINES
        from portal.layout import BARS, NAVIGATION, Bar
        from requests_queue import ids
        from sandbox import (
            due_deliveries,  # noqa: F401  (connects on import)
            first_steps,
            holds,  # noqa: F401  (connects on import)
            panels,
            pruning,
            receivers,  # noqa: F401  (connects on import)
            world,
        )
        from sandbox.faults import delivery_side
        from sandbox.pages import clock_bar, commands, navigation

        panels.register()
        pruning.register()
        navigation.add(NAVIGATION)
        COMMANDS.append(commands.faults)
        LOOKUPS.append(commands.find_faults)
        delivery_side.register()
        media.MORE_STYLESHEETS.append(Path(__file__).parent / "static" / "sandbox" / "pages.css")
        BARS.append(Bar("portal/sandbox/bar.html", clock_bar.load))
        ids.taken_checks.append(world.is_used)
        COMMAND_LINES.append(first_steps.command_line)

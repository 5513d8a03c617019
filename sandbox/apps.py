"""The sandbox: a movable clock and tools for authors of handlers."""

from pathlib import Path

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """`/sandbox/…` and its commands; not installed with SIM_PROFILE=server."""

    name = "sandbox"
    # Requests that wait at the gate are not in flight yet.
    asgi_middleware = (
        "sandbox.world.gate.wait_at_gate",
        "sandbox.timeline.activity.count_api_calls",
    )
    asgi_lifespan = ("sandbox.timeline.api_calls.lifespan", "sandbox.check_runs.lifespan")

    def ready(self) -> None:
        """Connect signal receivers, and add our handler and panels to the portal."""
        from portal import media
        from portal.commands import COMMANDS, LOOKUPS
        from portal.home.first_steps import COMMAND_LINES
        from portal.introductions import SENTENCES
        from portal.layout import BARS, NAVIGATION, Bar
        from requests_queue import ids
        from sandbox.clock import settling  # noqa: F401
        from sandbox.coverage import possible  # noqa: F401
        from sandbox.faults import delivery_side
        from sandbox.pages import checks, faults, panels, world
        from sandbox.readings import chosen
        from sandbox.timeline import api_calls, attempts, timeline  # noqa: F401
        from sandbox.world.tables import is_used

        panels.register()
        timeline.register_retention()
        panels.add_navigation(NAVIGATION)
        SENTENCES.update(panels.SENTENCES)
        COMMANDS.extend([world.commands, faults.commands])
        LOOKUPS.extend([faults.find_faults, checks.find_checks])
        delivery_side.register()
        chosen.register()
        media.MORE_STYLESHEETS.append(Path(__file__).parent / "static" / "sandbox" / "pages.css")
        BARS.append(Bar("portal/sandbox/bar.html", world.load_bar))
        ids.taken_checks.append(is_used)
        COMMAND_LINES.append(panels.command_line)

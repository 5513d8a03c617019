"""The sandbox: a movable clock and tools for authors of handlers."""

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
        """Connect signal receivers; `sandbox.urls` adds our pages to the portal."""
        from requests_queue import ids
        from sandbox.clock import settling  # noqa: F401
        from sandbox.coverage import possible  # noqa: F401
        from sandbox.faults import delivery_side, task_side
        from sandbox.readings import chosen
        from sandbox.timeline import api_calls, attempts, tasks, timeline  # noqa: F401
        from sandbox.world.tables import is_used

        timeline.register_retention()
        delivery_side.register()
        task_side.register()
        chosen.register()
        ids.taken_checks.append(is_used)

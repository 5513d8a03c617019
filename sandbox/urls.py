"""`/sandbox/…`: our own API, not Connect's; absent with SIM_PROFILE=server."""

from sandbox.api import (
    clock,
    holds,
    observing,
    observing_calls,
    queue,
    schema,
    snapshots,
    waiting,
)

urlpatterns = [
    *clock.urlpatterns,
    *holds.urlpatterns,
    *observing.urlpatterns,
    *observing_calls.urlpatterns,
    *queue.urlpatterns,
    *schema.urlpatterns,
    *snapshots.urlpatterns,
    *waiting.urlpatterns,
]

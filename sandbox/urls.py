"""`/sandbox/…`: our own API, not Connect's; absent with SIM_PROFILE=server."""

from sandbox.api import clock, holds, observing, queue, snapshots, waiting

urlpatterns = [
    *clock.urlpatterns,
    *holds.urlpatterns,
    *observing.urlpatterns,
    *queue.urlpatterns,
    *snapshots.urlpatterns,
    *waiting.urlpatterns,
]

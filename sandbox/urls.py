"""`/sandbox/…`: our own API, not Connect's; absent with SIM_PROFILE=server."""

from sandbox.api import clock, holds, observing, queue, waiting

urlpatterns = [
    *clock.urlpatterns,
    *holds.urlpatterns,
    *observing.urlpatterns,
    *queue.urlpatterns,
    *waiting.urlpatterns,
]

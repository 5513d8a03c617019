"""`/sandbox/…`: our own API, not Connect's; absent with SIM_PROFILE=server."""

from sandbox.api import clock, holds, queue

urlpatterns = [*clock.urlpatterns, *holds.urlpatterns, *queue.urlpatterns]

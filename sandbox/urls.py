"""`/sandbox/…`: our own API, not Connect's; absent with SIM_PROFILE=server."""

from sandbox.api import clock, queue

urlpatterns = [*clock.urlpatterns, *queue.urlpatterns]

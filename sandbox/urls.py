"""`/sandbox/…`: our own API, not Connect's; absent with SIM_PROFILE=server."""

from sandbox.api import (
    clock,
    faults,
    holds,
    lease,
    observing,
    observing_calls,
    product_files,
    products,
    queue,
    schema,
    snapshots,
    version,
    waiting,
)

urlpatterns = [
    *clock.urlpatterns,
    *faults.urlpatterns,
    *holds.urlpatterns,
    *lease.urlpatterns,
    *observing.urlpatterns,
    *observing_calls.urlpatterns,
    *product_files.urlpatterns,
    *products.urlpatterns,
    *queue.urlpatterns,
    *schema.urlpatterns,
    *snapshots.urlpatterns,
    *version.urlpatterns,
    *waiting.urlpatterns,
]

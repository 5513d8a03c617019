"""URLs of the sandbox's pages, and of `/sandbox/…`, our own API; absent with SIM_PROFILE=server."""

from django.urls import include, path

from sandbox.api import checks as checks_api
from sandbox.api import (
    coverage,
    docs,
    extensions,
    observing,
    products,
    queue,
    readings,
    schema,
    snapshot_files,
    status,
    traces,
    workbooks,
)
from sandbox.api import faults as faults_api
from sandbox.api import world as world_api
from sandbox.mcp import views as mcp
from sandbox.pages import checks, faults, panels, timeline, world
from sandbox.pages import extensions as extension_pages
from sandbox.pages import snapshots as snapshot_pages
from sandbox.pages import traces as trace_pages

# Not when the app is ready: only what serves pages needs their modules.
panels.register()
page_urlpatterns = [
    path("snapshots/", snapshot_pages.snapshot_list, name="snapshots"),
    path("snapshots/import/", snapshot_pages.import_, name="snapshot-import"),
    path("snapshots/<str:name>/export/", snapshot_pages.export, name="snapshot-export"),
    path("snapshots/<str:name>/restore/", snapshot_pages.restore, name="snapshot-restore"),
    path("snapshots/<str:name>/delete/", snapshot_pages.delete, name="snapshot-delete"),
    path("snapshots/<str:name>/diff/", snapshot_pages.compare, name="snapshot-diff"),
    path("extensions/", extension_pages.overview, name="extensions"),
    path("extensions/<str:pk>/", extension_pages.environment, name="extension"),
    path(
        "extensions/<str:pk>/tasks/<int:number>/resubmit/",
        extension_pages.resubmit,
        name="task-resubmit",
    ),
    path("timeline/", timeline.page, name="timeline"),
    path("timeline/calls/<int:pk>/", timeline.call, name="api-call"),
    path("traces/<slug:pk>/", trace_pages.trace, name="trace"),
    path("time/", world.state, name="time"),
    path("time/move/", world.move, name="time-move"),
    path("time/reset/", world.reset, name="time-reset"),
    path("checks/", checks.overview, name="checks"),
    path("checks/<slug:webhook>/", checks.webhook, name="checks-webhook"),
    path("checks/<slug:webhook>/<int:pk>/", checks.run, name="checks-run"),
    path("checks/<slug:webhook>/<int:pk>/cancel/", checks.cancel, name="checks-cancel"),
    path("checks/<slug:webhook>/<int:pk>/report.<slug:form>", checks.report, name="checks-report"),
    path("deliveries/<int:pk>/advance/", world.advance_to_attempt, name="delivery-advance"),
    path("faults/", faults.overview, name="faults"),
    path("faults/clear/", faults.clear_all, name="faults-clear"),
    path("faults/new/<slug:side>/<slug:kind>/", faults.new, name="fault-new"),
    path("faults/<slug:pk>/clear/", faults.clear, name="fault-clear"),
    path("faults/<slug:pk>/release/", faults.release, name="fault-release"),
]
api_urlpatterns = [
    *world_api.urlpatterns,
    *faults_api.urlpatterns,
    *observing.urlpatterns,
    *workbooks.urlpatterns,
    *products.urlpatterns,
    *queue.urlpatterns,
    *readings.urlpatterns,
    *snapshot_files.urlpatterns,
    *checks_api.urlpatterns,
    *status.urlpatterns,
    *mcp.urlpatterns,
    *traces.urlpatterns,
    *coverage.urlpatterns,
    *extensions.urlpatterns,
    *schema.urlpatterns,
    *docs.urlpatterns,
]
urlpatterns = [
    *page_urlpatterns,
    *docs.list_urlpatterns,
    path("sandbox/", include(api_urlpatterns)),
]

"""URLs of the sandbox's pages."""

from django.urls import path

from sandbox.pages import checks

urlpatterns = [
    path("checks/", checks.overview, name="checks"),
    path("checks/<slug:webhook>/", checks.webhook, name="checks-webhook"),
    path("checks/<slug:webhook>/<int:pk>/", checks.run, name="checks-run"),
    path("checks/<slug:webhook>/<int:pk>/cancel/", checks.cancel, name="checks-cancel"),
    path("checks/<slug:webhook>/<int:pk>/report.<slug:form>", checks.report, name="checks-report"),
]

"""The addresses of the pages of webhooks."""

from __future__ import annotations

from django.urls import path

from portal.webhooks import views, wizard_views

urlpatterns = [
    path("", views.webhooks, name="webhooks"),
    path("new/", wizard_views.new, name="webhook-new"),
    path("new/<slug:key>/<slug:name>/", wizard_views.step, name="webhook-new-step"),
    path("<slug:pk>/", views.general, name="webhook"),
    path("<slug:pk>/statistics/", views.statistics, name="webhook-statistics"),
    path("<slug:pk>/http/", views.http, name="webhook-http"),
    path("<slug:pk>/data/", views.data, name="webhook-data"),
    path("<slug:pk>/last/<slug:outcome>/", views.response, name="webhook-response"),
    path("<slug:pk>/edit/", views.edit, name="webhook-edit"),
    path("<slug:pk>/delete/", views.delete, name="webhook-delete"),
    path("<slug:pk>/do/<slug:name>/", views.do, name="webhook-do"),
    path("<slug:pk>/secret/", views.reveal, name="webhook-secret"),
    path("<slug:pk>/secret/new/", views.renew, name="webhook-secret-new"),
]

"""The addresses of the pages of the queues."""

from __future__ import annotations

from django.urls import path

from portal.queues import views, write_views

urlpatterns = [
    path("", views.queues, name="queues"),
    path("<str:name>/", views.queue, name="queue"),
    path("<str:name>/new/", write_views.new, name="queue-new"),
    path("<str:name>/<str:pk>/", views.one, name="queue-object"),
    path("<str:name>/<str:pk>/json/", views.source, name="queue-source"),
    path("<str:name>/<str:pk>/edit/", write_views.edit, name="queue-edit"),
    path("<str:name>/<str:pk>/validate/", write_views.validate, name="queue-validate"),
    path("<str:name>/<str:pk>/moves/<str:move>/", write_views.move, name="queue-move"),
]

"""The addresses of the first page."""

from __future__ import annotations

from django.urls import path

from portal.home import views

urlpatterns = [
    path("", views.home, name="home"),
    path("home/live/", views.live, name="home-live"),
]

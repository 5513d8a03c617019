"""The addresses of the first page, and of a user's password."""

from __future__ import annotations

from django.urls import path

from portal import views as frame_views
from portal.home import views

urlpatterns = [
    path("", views.home, name="home"),
    path("home/live/", views.live, name="home-live"),
    path("password/", frame_views.password, name="password"),
]

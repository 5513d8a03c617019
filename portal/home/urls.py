"""The addresses of the pages of the first page."""

from __future__ import annotations

from django.urls import path

from portal.home import views

urlpatterns = [path("", views.home, name="home")]

"""The addresses of the pages of the queues."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []

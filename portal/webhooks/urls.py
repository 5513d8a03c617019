"""The addresses of the pages of webhooks."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []

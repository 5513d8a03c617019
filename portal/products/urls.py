"""The addresses of the pages of products."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []

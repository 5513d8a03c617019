"""Composition: settings, URLs, Celery and the embedded runtime. Imports every room."""

from connect_sim.celery import app as celery_app

__all__ = ["celery_app"]

"""Composition: settings, URLs, Celery and the embedded runtime. Imports all other packages."""

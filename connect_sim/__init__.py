"""The project: settings, URLs, Celery, web server and embedded runtime."""

__version__ = "0.1.0"

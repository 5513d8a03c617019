"""The project: settings, URLs, Celery, web server and embedded runtime."""

"""A project with django-webhook and Celery, both with their defaults."""

import os
from urllib.parse import urlsplit

_database = urlsplit(os.environ["RIVAL_DATABASE_URL"])
if _database.scheme == "sqlite":
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": _database.path,
        }
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _database.path.lstrip("/"),
            "USER": _database.username,
            "PASSWORD": _database.password or "",
            "HOST": _database.hostname,
            "PORT": _database.port,
        }
    }
SECRET_KEY = "a key of the benchmark"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    # First, so that its receiver stamps before django-webhook's sends the task.
    "benchmarks.rival",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django_webhook",
]
DJANGO_WEBHOOK = {"MODELS": ["rival.Order", "rival.Paced"]}
CELERY_BROKER_URL = os.environ["RIVAL_BROKER_URL"]

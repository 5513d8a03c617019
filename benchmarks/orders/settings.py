"""Settings of a project with django-webhook and Celery, both with their defaults, and its app.

It is as documented, and runs in its own virtual environment. BENCH_DB_REUSE_MAX sets how many tasks
share a database connection; Celery opens one for each.
"""

import os
from urllib.parse import urlsplit

from celery import Celery

_database = urlsplit(os.environ["BENCH_DATABASE_URL"])
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
INSTALLED_APPS = [
    "django_webhook",
    "benchmarks.orders",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
]
DJANGO_WEBHOOK = {"MODELS": ["orders.Order", "orders.Paced"]}
CELERY_BROKER_URL = os.environ["BENCH_BROKER_URL"]
if "BENCH_DB_REUSE_MAX" in os.environ:
    CELERY_DB_REUSE_MAX = int(os.environ["BENCH_DB_REUSE_MAX"])

app = Celery("orders")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()

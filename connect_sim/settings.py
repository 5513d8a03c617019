"""Settings, all from the environment; `.env.example` lists every variable."""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from connect_sim import (
    __version__,
    container,
    data_folder,
    databases,
    hidden_packages,
    installation,
    logs,
    secret_keys,
    setting_values,
)
from connect_sim.environment import Environment
from requests_queue import queues

installation.refuse_windows()
PROGRAM = installation.PROGRAM
VERSION = __version__
_home = installation.home()
env = Environment()
env.read_file("SIM_ENV_FILE", _home / ".env")
# Set by the image: texts for users say how to reach into the container and out of it.
SIM_IN_CONTAINER = env.bool("SIM_IN_CONTAINER", default=False)
if SIM_IN_CONTAINER:
    PROGRAM = container.program()
# Reported by the system checks, which prevent the start; the defaults are used until then.
SETTING_PROBLEMS = env.problems

SIM_PROFILE = env.choice("SIM_PROFILE", "sandbox", ("sandbox", "server"))
SANDBOX = SIM_PROFILE == "sandbox"

SIM_DATA_DIR = Path(env("SIM_DATA_DIR", default=str(_home / "var"))).absolute()
SIM_BIND = env.checked(
    "SIM_BIND", "127.0.0.1:8000", setting_values.bind, example="SIM_BIND=127.0.0.1:8000"
)
# The defaults of the URLs have the first of several addresses.
_bind_host, _, _bind_port = SIM_BIND.split()[0].rpartition(":")
_public_host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "*": "127.0.0.1"}.get(
    _bind_host, _bind_host
)
LOCAL_URL = f"http://{_public_host}:{_bind_port}"
# For browsers and tests; each of the two URLs is the other's default.
SIM_PUBLIC_URL = env.checked(
    "SIM_PUBLIC_URL", "", setting_values.root_url, example="SIM_PUBLIC_URL=http://localhost:9000"
)
SIM_API_URL = env.checked(
    "SIM_API_URL",
    SIM_PUBLIC_URL or LOCAL_URL,
    setting_values.root_url,
    example="SIM_API_URL=https://sim.example.com",
)
SIM_PUBLIC_URL = SIM_PUBLIC_URL or SIM_API_URL
SIM_VENDOR_API_KEY = env("SIM_VENDOR_API_KEY")
SIM_PROVIDER_API_KEY = env("SIM_PROVIDER_API_KEY")

SECRET_KEY = secret_keys.read(env, "SIM_SECRET_KEY", SIM_DATA_DIR, is_server=not SANDBOX)
# Several keys are separated by commas: the first encrypts, each decrypts (docs/server.md).
SIM_ENCRYPTION_KEY = secret_keys.read(
    env, "SIM_ENCRYPTION_KEY", SIM_DATA_DIR, is_server=not SANDBOX, check=setting_values.keys
)

# The delivery engine. .env.example explains each value, docs/fidelity.md its origin.
SIM_CALLS = env.int("SIM_CALLS", default=4000, maximum=100_000)
SIM_HTTP_TIMEOUT = env.float("SIM_HTTP_TIMEOUT", default=300)
SIM_PROCESSING_TIMEOUT = env.int("SIM_PROCESSING_TIMEOUT", default=600, maximum=366 * 24 * 3600)
SIM_RETRY_BASE = env.float("SIM_RETRY_BASE", default=300)
SIM_RETRY_FACTOR = env.float("SIM_RETRY_FACTOR", default=2, minimum=1, maximum=1000)
SIM_RETRY_CAP = env.float("SIM_RETRY_CAP", default=6 * 3600)
SIM_FAILURE_LIMIT = env.int("SIM_FAILURE_LIMIT", default=10, maximum=1_000_000)
SIM_EVENT_MODE = env.choice("SIM_EVENT_MODE", "each", ("each", "coalesce"))
SIM_MAX_IN_FLIGHT = env.int("SIM_MAX_IN_FLIGHT", default=10, maximum=100_000)
SIM_JWT_HEADER = env.choice("SIM_JWT_HEADER", "both", ("both", "authentication", "authorization"))
SIM_OBJECT_CLASS_FORM = env.choice("SIM_OBJECT_CLASS_FORM", "plural", ("plural", "singular"))
SIM_VALIDATION_TIMEOUT = env.float("SIM_VALIDATION_TIMEOUT", default=30)
SIM_VALIDATIONS = env.int("SIM_VALIDATIONS", default=100, maximum=10_000)
# An empty value allows the public internet only.
SIM_ALLOW_NETWORKS = env.checked(
    "SIM_ALLOW_NETWORKS",
    "loopback,private" if SANDBOX else "",
    setting_values.networks,
    example="SIM_ALLOW_NETWORKS=loopback,10.1.0.0/16",
    blank=True,
)
SIM_HTTP_PROXY = env.checked(
    "SIM_HTTP_PROXY",
    "",
    setting_values.proxy,
    example="SIM_HTTP_PROXY=http://proxy.example.com:3128",
    secret=True,
)
SIM_CA_FILE = env.checked(
    "SIM_CA_FILE", "", setting_values.ca_file, example="SIM_CA_FILE=/etc/ssl/my-ca.pem"
)
SIM_USAGE_PROCESSED = env.choice("SIM_USAGE_PROCESSED", "ready", ("ready", "uploaded"))
# Seconds, or None: the sandbox learns it for each handler.
SIM_SETTLE_TIME = env.checked(
    "SIM_SETTLE_TIME", None, setting_values.settle_time, example="SIM_SETTLE_TIME=0.5"
)
# Retention; 0 keeps everything.
SIM_KEEP_DAYS = env.int("SIM_KEEP_DAYS", default=30, minimum=0, maximum=36_500)
SIM_KEEP_AUDIT_DAYS = env.int("SIM_KEEP_AUDIT_DAYS", default=365, minimum=0, maximum=36_500)
SIM_KEEP_DELIVERIES = env.int("SIM_KEEP_DELIVERIES", default=0, minimum=0)
SIM_DRAFT_DAYS = env.int("SIM_DRAFT_DAYS", default=30, maximum=36_500)

# Limits of the web server (units: .env.example).
SIM_MAX_BODY = env.int("SIM_MAX_BODY", default=20 * 1024 * 1024, maximum=2**31 - 1)
SIM_HEAD_TIMEOUT = env.float("SIM_HEAD_TIMEOUT", default=30)
SIM_IDLE_TIMEOUT = env.float("SIM_IDLE_TIMEOUT", default=75)
# Proxies whose X-Forwarded-For, -Proto and -Host are used (connect_sim.server.proxies).
SIM_TRUSTED_PROXY = env.checked(
    "SIM_TRUSTED_PROXY", "", setting_values.trusted_proxies, example="SIM_TRUSTED_PROXY=127.0.0.1"
)

# Metrics for Prometheus: the port of this process (0: none), and the key of /metrics.
SIM_METRICS_PORT = env.int("SIM_METRICS_PORT", default=0, maximum=65535)
SIM_METRICS_HOST = env.checked(
    "SIM_METRICS_HOST", "127.0.0.1", setting_values.host, example="SIM_METRICS_HOST=0.0.0.0"
)
SIM_METRICS_KEY = env.checked(
    "SIM_METRICS_KEY",
    "",
    setting_values.key,
    example="SIM_METRICS_KEY=the-output-of-openssl-rand-hex-32",
    secret=True,
)

DEBUG = False
_NO_HOSTS: list[str] = []
ALLOWED_HOSTS = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    *(urlsplit(url).hostname or "" for url in (SIM_API_URL, SIM_PUBLIC_URL, LOCAL_URL)),
    *env.checked(
        "SIM_ALLOWED_HOSTS",
        _NO_HOSTS,
        setting_values.hosts,
        example="SIM_ALLOWED_HOSTS=sim.example.com",
    ),
]
CSRF_TRUSTED_ORIGINS = [SIM_PUBLIC_URL, SIM_API_URL]
ROOT_URLCONF = "connect_sim.urls"
WSGI_APPLICATION = "connect_sim.wsgi.application"

INSTALLED_APPS = [
    "connect_sim",
    *(["sandbox"] if SANDBOX else []),
    "portal",
    "webhooks",
    *sorted(
        f"requests_queue.queues.{folder.name}"
        for folder in Path(queues.__file__).parent.iterdir()
        if (folder / "apps.py").exists()
    ),
    "requests_queue.catalog",
    "requests_queue.conversations",
    "requests_queue",
    "connect_sim.admin_app.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "dj_rql",
]
MIDDLEWARE = [
    # The first: they count and record refused requests too.
    *(["connect_sim.metrics.api_requests.count"] if SIM_METRICS_PORT else []),
    *(["sandbox.api_calls.record_api_calls"] if SANDBOX else []),
    *(["sandbox.faults.api_side.inject_faults"] if SANDBOX else []),
    *(["sandbox.simulated_date.add_date"] if SANDBOX else []),
    *(["connect_sim.middleware.warn_of_published_port"] if SANDBOX and SIM_IN_CONTAINER else []),
    "connect_sim.middleware.refuse_nul",
    "connect_sim.middleware.protect_admin",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "requests_queue.catalog.audit.remember_request",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "connect_sim.middleware.answer_questions",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Limits of PostgreSQL in seconds; 0 for none. The idle limit releases the locks of a process that
# is suspended in a transaction.
SIM_LOCK_TIMEOUT = env.float("SIM_LOCK_TIMEOUT", default=10, minimum=0)
SIM_STATEMENT_TIMEOUT = env.float("SIM_STATEMENT_TIMEOUT", default=60, minimum=0)
SIM_IDLE_IN_TRANSACTION_TIMEOUT = env.float("SIM_IDLE_IN_TRANSACTION_TIMEOUT", default=4, minimum=0)
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.checked(
        "DATABASE_URL",
        {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(SIM_DATA_DIR / "connect.sqlite3"),
        },
        setting_values.database,
        example="DATABASE_URL=postgres://user:password@localhost:5432/sim",
        secret=True,
    )
}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"]["CONN_MAX_AGE"] = 60
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    data_folder.prepare(SIM_DATA_DIR, Path(DATABASES["default"]["NAME"]))
    DATABASES["default"]["ENGINE"] = "requests_queue.sqlite3"
    DATABASES["default"]["OPTIONS"] = dict(databases.SQLITE)
    # Tests use a file too: a shared in-memory database fails with "table is locked" in a second
    # thread.
    DATABASES["default"]["TEST"] = {"NAME": str(SIM_DATA_DIR / "test.sqlite3")}
elif DATABASES["default"]["ENGINE"].endswith("postgresql"):
    DATABASES["default"]["OPTIONS"] = databases.postgresql(
        DATABASES["default"].get("OPTIONS", {}),
        lock=SIM_LOCK_TIMEOUT,
        statement=SIM_STATEMENT_TIMEOUT,
        idle=SIM_IDLE_IN_TRANSACTION_TIMEOUT,
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "catalog.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"

CELERY_BROKER_URL = env.checked(
    "CELERY_BROKER_URL",
    "memory://localhost/",
    setting_values.broker,
    example="CELERY_BROKER_URL=redis://localhost:6379/0",
    secret=True,
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Polling memory:// is a dictionary lookup; Redis blocks for messages instead.
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"polling_interval": 0.02} if CELERY_BROKER_URL.startswith("memory:") else {}
)
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = 4
CELERY_WORKER_CONSUMER = "connect_sim.consumer:Consumer"
CELERY_TIMEZONE = "UTC"
# Without this Celery closes the connection after each task, despite CONN_MAX_AGE.
CELERY_DB_REUSE_MAX = 1000
CELERY_BEAT_SCHEDULE = {
    "platform": {"task": "requests_queue.tasks.run_due", "schedule": 5.0},
    "remove": {
        "task": "webhooks.tasks.remove_deleted",
        "schedule": 5.0,
        # Without a worker the messages would accumulate in the broker.
        "options": {"expires": 30},
    },
    "resend": {
        "task": "portal.tasks.resend_deliveries",
        "schedule": 5.0,
        "options": {"expires": 30},
    },
    "prune": {
        "task": "requests_queue.tasks.prune",
        "schedule": 900.0,
        "options": {"expires": 900},
    },
}

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en"
DATETIME_FORMAT = "Y-m-d H:i:s T"
DATE_FORMAT = "Y-m-d"
STATIC_URL = "/static/"
# Static files are served from their packages, without collectstatic.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["connect_sim.api.auth.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["connect_sim.api.auth.HasAccount"],
    "DEFAULT_PARSER_CLASSES": ["connect_sim.api.parsing.ConnectJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["connect_sim.api.rendering.FastJSONRenderer"],
    "DEFAULT_FILTER_BACKENDS": ["connect_sim.api.rql.ConnectRQLFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "connect_sim.api.pagination.ContentRangePagination",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "connect_sim.api.parsing.AlwaysJSON",
    # OPTIONS returns 405: DRF's description of serializers is not part of Connect's API.
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "connect_sim.api.errors.handle",
    "DEFAULT_SCHEMA_CLASS": "connect_sim.api.document.ConnectSchema",
    "UNAUTHENTICATED_USER": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Connect Sim",
    "VERSION": "37.0",
    "DESCRIPTION": (
        "CloudBlue Connect's public API, as far as Connect Sim serves it. Lists take RQL: "
        "`?and(eq(status,pending),in(asset.product.id,(PRD-1,PRD-2)))`, with `ordering(-created)` "
        "and `select(-asset.items)`."
        + (" The sandbox has [an API of its own](/sandbox/docs)." if SANDBOX else "")
    ),
    "SCHEMA_PATH_PREFIX": "/public/v1",
    "SCHEMA_PATH_PREFIX_TRIM": True,
    # A partial body has a name of its own (`ConnectSchema`).
    "COMPONENT_SPLIT_PATCH": False,
    # The relative URL first, so that Swagger UI calls the host that it is served from.
    "SERVERS": [{"url": "/public/v1"}, {"url": f"{SIM_API_URL}/public/v1"}],
    "PREPROCESSING_HOOKS": ["connect_sim.api.document.only_documented"],
    "POSTPROCESSING_HOOKS": ["connect_sim.api.document.paging_by_reference"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# Browsers send the cookies of a host to all its ports, so sandboxes on one machine need names of
# their own. Folders in containers have equal paths but different keys, configured keys may be
# equal, and the processes of a server have nothing but the key in common.
_folder = SIM_DATA_DIR if SANDBOX else ""
_cookies = hashlib.sha256(f"{SECRET_KEY} {_folder}".encode()).hexdigest()[:12]
SESSION_COOKIE_NAME = f"sessionid-{_cookies}"
CSRF_COOKIE_NAME = f"csrftoken-{_cookies}"
SIM_MESSAGES_COOKIE_NAME = f"messages-{_cookies}"
MESSAGE_STORAGE = "portal.pages.MessageStorage"
# A sandbox on loopback uses plain HTTP; a server is behind TLS.
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not SANDBOX
SECURE_SSL_REDIRECT = env.bool("SIM_SSL_REDIRECT", default=True) and not SANDBOX
SILENCED_SYSTEM_CHECKS = [
    # SQLite leaves out the columns that an index includes, which is what we want.
    "models.W040",
    # The proxy redirects instead: its operator has said so.
    *([] if SANDBOX or SECURE_SSL_REDIRECT else ["security.W008"]),
    # HSTS is about all of a host, and perhaps its subdomains, for as long as browsers remember it:
    # only their operator can decide that.
    "security.W004",
    "security.W005",
    "security.W021",
]
SECURE_HSTS_SECONDS = env.int("SIM_HSTS_SECONDS", default=0, minimum=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SIM_HSTS_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("SIM_HSTS_PRELOAD", default=False)
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "portal.pages.csrf_failure"

SIM_LOG_LEVEL = env.choice(
    "SIM_LOG_LEVEL", "WARNING", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
)
# No line per attempt and API call from a running sandbox.
SIM_QUIET = env.bool("SIM_QUIET", default=False)
# Traces and metrics are sent there, and made, only if it is set.
SIM_OTLP_ENDPOINT = env.checked(
    "SIM_OTLP_ENDPOINT",
    "",
    setting_values.otlp_endpoint,
    example="SIM_OTLP_ENDPOINT=http://localhost:4318",
    secret=True,
)
if SIM_OTLP_ENDPOINT:
    MIDDLEWARE.insert(0, "connect_sim.middleware.note_route")
else:
    # redis-py would import it wherever it is installed.
    hidden_packages.import_without("redis", "opentelemetry")
SIM_LOG_FORMAT = env.choice("SIM_LOG_FORMAT", logs.TEXT, (logs.TEXT, logs.JSON))
LOGGING_CONFIG = "connect_sim.logs.configure"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        "json": {"()": "connect_sim.logs.JsonFormatter"},
    },
    "filters": {"not_logged": {"()": "connect_sim.logs.NotLogged"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": SIM_LOG_FORMAT}},
    # Django and uvicorn log 4xx responses and malformed HTTP as warnings. They are the client's
    # errors, and the response explains them.
    "loggers": {
        "django.request": {"level": "ERROR", "filters": ["not_logged"]},
        "uvicorn.error": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
    "root": {"handlers": ["console"], "level": SIM_LOG_LEVEL},
}

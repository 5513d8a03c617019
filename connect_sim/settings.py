"""Settings, all from the environment; `.env.example` lists every variable."""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ

from connect_sim import __version__, container, data_folder, installation, logs
from connect_sim import setting_values as values
from requests_queue import alternatives, queues

_variables = values.Variables()
env = _variables.read
SETTING_PROBLEMS = _variables.problems

installation.refuse_windows()
VERSION = __version__
_home = installation.home()
_configured = env("SIM_ENV_FILE", "", str)
_env_file = Path(_configured or _home / ".env")
try:
    # Opened here, because environ ignores unreadable files.
    with _env_file.open(encoding="utf-8") as _file:
        environ.Env.read_env(_file)
except (OSError, ValueError) as _error:
    # Only a configured file must exist.
    if _configured or not isinstance(_error, FileNotFoundError):
        _reason = _error.strerror if isinstance(_error, OSError) else "it is not UTF-8 text"
        _hint = "Correct the path or the permissions of the file, or unset the variable."
        _variables.report(
            "SIM_ENV_FILE", f"names {_env_file}, which cannot be read: {_reason}.", _hint
        )
# Set by the image: texts for users say how to reach into the container and out of it.
SIM_IN_CONTAINER = env("SIM_IN_CONTAINER", False, values.flag)
PROGRAM = container.program() if SIM_IN_CONTAINER else installation.PROGRAM

SIM_PROFILE = env("SIM_PROFILE", "sandbox", values.one_of("sandbox", "server"))
SANDBOX = SIM_PROFILE == "sandbox"

SIM_DATA_DIR = Path(env("SIM_DATA_DIR", str(_home / "var"), str)).absolute()
SIM_BIND = env("SIM_BIND", "127.0.0.1:8000", values.bind, example="127.0.0.1:8000")
# The second port, with TLS, for extension runners.
SIM_TLS_PORT = env("SIM_TLS_PORT", 8443, values.integer(minimum=0, maximum=65535))
# Seconds of real time after which the tasks of a runner that is gone are sent again.
SIM_RUNNER_GRACE = env("SIM_RUNNER_GRACE", 30, values.integer(minimum=0, maximum=3600))
# The defaults of the URLs have the first of several addresses.
_bind_host, _, _bind_port = SIM_BIND.split()[0].rpartition(":")
_public_host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "*": "127.0.0.1"}.get(
    _bind_host, _bind_host
)
LOCAL_URL = f"http://{_public_host}:{_bind_port}"
# For browsers and tests; each of the two URLs is the other's default.
SIM_PUBLIC_URL = env("SIM_PUBLIC_URL", "", values.root_url, example="http://localhost:9000")
SIM_API_URL = env(
    "SIM_API_URL", SIM_PUBLIC_URL or LOCAL_URL, values.root_url, example="https://sim.example.com"
)
SIM_PUBLIC_URL = SIM_PUBLIC_URL or SIM_API_URL
# Tools of agents (MCP) that change the sandbox, and what installs the package for it.
SIM_ALLOW_CHANGES = env("SIM_ALLOW_CHANGES", False, values.flag)
MCP_INSTALLATION = installation.install_extra("mcp")
SIM_VENDOR_API_KEY = env("SIM_VENDOR_API_KEY", "", str)
SIM_PROVIDER_API_KEY = env("SIM_PROVIDER_API_KEY", "", str)

_keys = SIM_DATA_DIR if SANDBOX else None
SECRET_KEY = _variables.secret_key("SIM_SECRET_KEY", values.key, _keys)
# Several keys are separated by commas: the first encrypts, each decrypts (docs/server.md).
SIM_ENCRYPTION_KEY = _variables.secret_key("SIM_ENCRYPTION_KEY", values.keys, _keys)

# The delivery engine. .env.example explains each value, docs/fidelity.md its origin.
SIM_CALLS = env("SIM_CALLS", 4000, values.integer(maximum=100_000))
SIM_HTTP_TIMEOUT = env("SIM_HTTP_TIMEOUT", 300.0, values.number())
SIM_PROCESSING_TIMEOUT = env("SIM_PROCESSING_TIMEOUT", 600, values.integer(maximum=366 * 24 * 3600))
SIM_RETRY_BASE = env("SIM_RETRY_BASE", 300.0, values.number())
SIM_RETRY_FACTOR = env("SIM_RETRY_FACTOR", 2.0, values.number(minimum=1, maximum=1000))
SIM_RETRY_CAP = env("SIM_RETRY_CAP", float(6 * 3600), values.number())
SIM_FAILURE_LIMIT = env("SIM_FAILURE_LIMIT", 10, values.integer(maximum=1_000_000))
SIM_MAX_IN_FLIGHT = env("SIM_MAX_IN_FLIGHT", 10, values.integer(maximum=100_000))
SIM_VALIDATION_TIMEOUT = env("SIM_VALIDATION_TIMEOUT", 30.0, values.number())
SIM_VALIDATIONS = env("SIM_VALIDATIONS", 100, values.integer(maximum=10_000))
# An empty value allows the public internet only.
SIM_ALLOW_NETWORKS = env(
    "SIM_ALLOW_NETWORKS",
    "loopback,private" if SANDBOX else "",
    values.networks,
    example="loopback,10.1.0.0/16",
    blank=True,
)
SIM_HTTP_PROXY = env(
    "SIM_HTTP_PROXY", "", values.proxy, example="http://proxy.example.com:3128", secret=True
)
SIM_CA_FILE = env("SIM_CA_FILE", "", values.ca_file, example="/etc/ssl/my-ca.pem")
SIM_CONNECT_VERSION = env("SIM_CONNECT_VERSION", "37.0", values.version)
# SIM_VALUE_ERRORS and so on: what is assumed about Connect.
for _name, _choices in alternatives.ALTERNATIVES.items():
    _setting = alternatives.SETTINGS[_name]
    globals()[_setting] = env(_setting, _choices[0], values.one_of(*_choices))
# Seconds, or None: the sandbox learns it for each handler.
SIM_SETTLE_TIME = env("SIM_SETTLE_TIME", None, values.settle_time, example="0.5")
# Retention; 0 keeps everything.
SIM_KEEP_DAYS = env("SIM_KEEP_DAYS", 30, values.integer(minimum=0, maximum=36_500))
SIM_KEEP_AUDIT_DAYS = env("SIM_KEEP_AUDIT_DAYS", 365, values.integer(minimum=0, maximum=36_500))
SIM_KEEP_DELIVERIES = env("SIM_KEEP_DELIVERIES", 0, values.integer(minimum=0))
SIM_DRAFT_DAYS = env("SIM_DRAFT_DAYS", 30, values.integer(maximum=36_500))

# Limits of the web server (units: .env.example).
SIM_MAX_BODY = env("SIM_MAX_BODY", 20 * 1024 * 1024, values.integer(maximum=2**31 - 1))
SIM_HEAD_TIMEOUT = env("SIM_HEAD_TIMEOUT", 30.0, values.number())
SIM_IDLE_TIMEOUT = env("SIM_IDLE_TIMEOUT", 75.0, values.number())
# Proxies whose X-Forwarded-For, -Proto and -Host are used (connect_sim.server.proxies).
SIM_TRUSTED_PROXY = env("SIM_TRUSTED_PROXY", "", values.trusted_proxies, example="127.0.0.1")

# Metrics for Prometheus: the port of this process (0: none), and the key of /metrics.
SIM_METRICS_PORT = env("SIM_METRICS_PORT", 0, values.integer(maximum=65535))
SIM_METRICS_HOST = env("SIM_METRICS_HOST", "127.0.0.1", values.host, example="0.0.0.0")
SIM_METRICS_KEY = env(
    "SIM_METRICS_KEY", "", values.key, example="the-output-of-openssl-rand-hex-32", secret=True
)

DEBUG = False
ALLOWED_HOSTS = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    *(urlsplit(url).hostname or "" for url in (SIM_API_URL, SIM_PUBLIC_URL, LOCAL_URL)),
    *env("SIM_ALLOWED_HOSTS", list[str](), values.hosts, example="sim.example.com"),
]
CSRF_TRUSTED_ORIGINS = [SIM_PUBLIC_URL, SIM_API_URL]
ROOT_URLCONF = "connect_sim.urls"
WSGI_APPLICATION = "connect_sim.wsgi.application"

INSTALLED_APPS = [
    "connect_sim",
    *(["sandbox"] if SANDBOX else []),
    "portal",
    *(["extensions"] if SANDBOX else []),
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
    *(["sandbox.timeline.api_calls.record_api_calls"] if SANDBOX else []),
    "connect_sim.middleware.add_version",
    *(["sandbox.faults.api_side.inject_faults"] if SANDBOX else []),
    *(["sandbox.timeline.activity.add_date"] if SANDBOX else []),
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
SIM_LOCK_TIMEOUT = env("SIM_LOCK_TIMEOUT", 10.0, values.number(minimum=0))
SIM_STATEMENT_TIMEOUT = env("SIM_STATEMENT_TIMEOUT", 60.0, values.number(minimum=0))
SIM_IDLE_IN_TRANSACTION_TIMEOUT = env(
    "SIM_IDLE_IN_TRANSACTION_TIMEOUT", 4.0, values.number(minimum=0)
)
DATABASES: dict[str, dict[str, Any]] = {
    "default": env(
        "DATABASE_URL",
        {"ENGINE": "django.db.backends.sqlite3", "NAME": str(SIM_DATA_DIR / "connect.sqlite3")},
        values.database,
        example="postgres://user:password@localhost:5432/sim",
        secret=True,
    )
}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"]["CONN_MAX_AGE"] = 60
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    data_folder.prepare(SIM_DATA_DIR, Path(DATABASES["default"]["NAME"]))
    DATABASES["default"]["ENGINE"] = "requests_queue.db.sqlite3"
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # The page cache has SQLite's default of 2 MB per connection: the operating system caches
        # the file, and each thread has a connection. The write-ahead log is copied into the file
        # every 4000 pages (16 MB): at SQLite's 1000, the same pages are copied more often.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
        "PRAGMA wal_autocheckpoint=4000;",
    }
    # Tests use a file too: a shared in-memory database fails with "table is locked" in a second
    # thread.
    DATABASES["default"]["TEST"] = {"NAME": str(SIM_DATA_DIR / "test.sqlite3")}
else:
    _limits = {
        "lock_timeout": SIM_LOCK_TIMEOUT,
        "statement_timeout": SIM_STATEMENT_TIMEOUT,
        "idle_in_transaction_session_timeout": SIM_IDLE_IN_TRANSACTION_TIMEOUT,
        # For a suspended process to which the server is sending a long result.
        "tcp_user_timeout": SIM_IDLE_IN_TRANSACTION_TIMEOUT,
    }
    _options = [f"-c {name}={round(limit * 1000)}" for name, limit in _limits.items() if limit]
    # PostgreSQL uses the last value of a parameter, so those of the URL win.
    _options += filter(None, [DATABASES["default"]["OPTIONS"].pop("options", "")])
    # Omitted without limits: some connection poolers refuse the parameter.
    if _options:
        DATABASES["default"]["OPTIONS"]["options"] = " ".join(_options)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "catalog.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"

CELERY_BROKER_URL = env(
    "CELERY_BROKER_URL",
    "memory://localhost/",
    values.broker,
    example="redis://localhost:6379/0",
    secret=True,
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Of memory://, in seconds; Redis blocks for messages instead. Deliveries don't wait for it, and a
# sandbox that does nothing needs a third less CPU time than with 0.02.
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"polling_interval": 0.1} if CELERY_BROKER_URL.startswith("memory:") else {}
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
    "prune": {"task": "requests_queue.tasks.prune", "schedule": 900.0, "options": {"expires": 900}},
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
    "DEFAULT_PERMISSION_CLASSES": [
        "connect_sim.api.auth.HasAccount",
        "connect_sim.api.auth.HasModule",
    ],
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
_cookies = hashlib.sha256(f"{SECRET_KEY} {_keys or ''}".encode()).hexdigest()[:12]
SESSION_COOKIE_NAME = f"sessionid-{_cookies}"
CSRF_COOKIE_NAME = f"csrftoken-{_cookies}"
SIM_MESSAGES_COOKIE_NAME = f"messages-{_cookies}"
SIM_VISITED_COOKIE_NAME = f"visited-{_cookies}"
MESSAGE_STORAGE = "portal.pages.MessageStorage"
# A sandbox on loopback uses plain HTTP; a server is behind TLS.
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not SANDBOX
SECURE_SSL_REDIRECT = env("SIM_SSL_REDIRECT", True, values.flag) and not SANDBOX
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
SECURE_HSTS_SECONDS = env("SIM_HSTS_SECONDS", 0, values.integer(minimum=0))
SECURE_HSTS_INCLUDE_SUBDOMAINS = env("SIM_HSTS_SUBDOMAINS", False, values.flag)
SECURE_HSTS_PRELOAD = env("SIM_HSTS_PRELOAD", False, values.flag)
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "portal.pages.csrf_failure"

SIM_LOG_LEVEL = env(
    "SIM_LOG_LEVEL", "WARNING", values.one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
)
# No line per attempt and API call from a running sandbox.
SIM_QUIET = env("SIM_QUIET", False, values.flag)
# Traces and metrics are sent there, and made, only if it is set.
SIM_OTLP_ENDPOINT = env(
    "SIM_OTLP_ENDPOINT", "", values.otlp_endpoint, example="http://localhost:4318", secret=True
)
if SIM_OTLP_ENDPOINT:
    MIDDLEWARE.insert(0, "connect_sim.middleware.note_route")
elif not CELERY_BROKER_URL.startswith("memory:"):
    installation.import_without("redis", "opentelemetry")
SIM_LOG_FORMAT = env("SIM_LOG_FORMAT", logs.TEXT, values.one_of(logs.TEXT, logs.JSON))
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
        # Two lines per message.
        "mcp": {"level": "WARNING"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
    "root": {"handlers": ["console"], "level": SIM_LOG_LEVEL},
}

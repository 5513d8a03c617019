"""Every variable of .env.example: the system checks report an invalid value."""

from __future__ import annotations

import re
import runpy
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.checks import CheckMessage

from connect_sim import checks, installation
from requests_queue.alternatives import SETTINGS
from tests.processes import ROOT

# Name and example value of each variable.
VARIABLES = dict(
    re.findall(r"^#?([A-Z][A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
)
NUMBERS = ("abc", "-1", "1e999", "nan", "inf", "10 000", "١٢x", "0x10", "9" * 5000)
FLAGS = ("maybe", "2", "tru", "-1")
# Invalid values of variables that are neither numbers nor flags.
TEXTS: dict[str, tuple[str, ...]] = {
    "SIM_PROFILE": ("prod", "Server", "sandbox,server"),
    "SIM_BIND": ("8000", "127.0.0.1:99999", "127.0.0.1:0", "127.0.0.1:", ":8000", "::1:8000",
                 "http://127.0.0.1:8000", "127.0.0.1:8000/", "a b:8000", "127.0.0.1:-1", "[x]:80"),
    "SIM_API_URL": ("ftp://x", "x", "//x", "http://", "http://x:99999", "http://x:0",
                    "http://u:p@x", "http://x/sim", "http://x?a=b", "http://x#a", "http://a b",
                    "http://[::1", "http://300.1.1.1", "javascript:alert(1)"),
    "SIM_CA_FILE": ("/nowhere.pem", "/", "/dev/null", "/etc/hostname"),
    "SIM_PUBLIC_URL": ("localhost:9000", "http://x/sim", "ftp://x", "http://u:p@x"),
    "SIM_ALLOWED_HOSTS": ("http://x", "x:8000", "a b", "x/y", "ok.example.com,u@x"),
    "DATABASE_URL": ("abc", "mysql://h/n", "postgres://h:abc/n", "postgres://u@h", "sqlite://",
                     "sqlite:///:memory:", "://", "postgres:/h/n"),
    "CELERY_BROKER_URL": ("abc", "http://x", "redis:/x", "redis://h:abc/0", "redis://h:99999/0",
                          "redis://a b/0"),
    "SIM_TRUSTED_PROXY": ("proxy.example", "300.1.1.1", "10.1.2.3/8", "*"),
    "SIM_ENV_FILE": ("/nowhere/at/all", "/"),
    "SIM_METRICS_HOST": ("127.0.0.1:9464", "[::1]", "a b", "http://x", "0.0.0.0/0", "x,y"),
    "SIM_METRICS_KEY": ("short", "a" * 60, "abab" * 20),
    "SIM_OTLP_ENDPOINT": ("collector:4318", "grpc://x:4317", "http://u:p@x", "http://x?a=b",
                          "http://x:99999", "true"),
    "SIM_LOG_FORMAT": ("JSON", "xml", "text,json"),
    "SIM_LOG_LEVEL": ("loud", "warning", "0"),
    "SIM_VENDOR_API_KEY": ("x", "SU-111-111-111", "SU-111-111-111:short", "SU-1-1-1:12345678"),
    "SIM_PROVIDER_API_KEY": ("x", "SU-111-111-111:a b c d e f"),
    **dict.fromkeys(SETTINGS.values(), ("none of them", "Both", "plural,singular")),
    "SIM_CONNECT_VERSION": ("37", "v37.0", "37.", "37.0 43.1", "37.0\r\nX-A: b", "latest"),
    "SIM_ALLOW_NETWORKS": ("everything", "10.1.2.3/8", "300.0.0.0/8", "169.254.0.0/16", "*"),
    "SIM_HTTP_PROXY": ("socks5://x:1080", "x:3128", "http://", "http://x:99999", "http://x:0",
                       "http://x/path", "http://x?a=b", "http://a b", "ftp://x"),
}  # fmt: skip
# Checked in the server profile only: a sandbox accepts or creates any.
KEYS = ("", "weak", "a" * 60, "abab" * 20)
ANY = {"SIM_DATA_DIR"}
MAY_BE_ZERO = {
    "SIM_LOCK_TIMEOUT", "SIM_STATEMENT_TIMEOUT", "SIM_IDLE_IN_TRANSACTION_TIMEOUT",
    "SIM_SETTLE_TIME", "SIM_KEEP_DAYS", "SIM_KEEP_DELIVERIES",
    "SIM_KEEP_AUDIT_DAYS", "SIM_HSTS_SECONDS",
    "SIM_TLS_PORT", "SIM_RUNNER_GRACE",
}  # fmt: skip
SERVER = {
    "SIM_PROFILE": "server",
    "SIM_TRUSTED_PROXY": "127.0.0.1",
    "SIM_SECRET_KEY": "0123456789-abcdefgh-a-secret-that-is-long-enough-for-django",
    "SIM_ENCRYPTION_KEY": "9876543210-zyxwvuts-another-key-that-is-long-enough",
    "DATABASE_URL": "postgres://user@localhost/name",
    "CELERY_BROKER_URL": "redis://localhost:6379/0",
}


def is_number(name: str) -> bool:
    return re.fullmatch(r"[0-9]+(\.[0-9]+)?", VARIABLES[name]) is not None


def is_flag(name: str) -> bool:
    return VARIABLES[name] in ("true", "false")


def invalid_environments() -> Iterator[dict[str, str]]:
    """Yield one invalid value of each variable, until there have been all."""
    left = {
        name: [*TEXTS.get(name, NUMBERS if is_number(name) else FLAGS if is_flag(name) else ())]
        for name in VARIABLES
    }
    while variables := {name: values.pop() for name, values in left.items() if values}:
        yield variables


def names_in(errors: list[CheckMessage]) -> list[str]:
    return sorted(error.msg.partition(" ")[0] for error in errors)


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Any:
    """Return what reads the settings of an environment, and the problems that the checks report."""

    def run(**variables: str) -> tuple[dict[str, Any], list[CheckMessage]]:
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("SIM_ENV_FILE", "/dev/null")
        monkeypatch.setenv("SIM_DATA_DIR", str(tmp_path))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        values = runpy.run_path(str(ROOT / "connect_sim" / "settings.py"))
        for name in (
            "SETTING_PROBLEMS",
            "SANDBOX",
            "CELERY_BROKER_URL",
            "SIM_VENDOR_API_KEY",
            "SIM_PROVIDER_API_KEY",
        ):
            setattr(settings, name, values[name])
        return values, checks.serious_errors()

    return run


def test_every_variable_is_tested() -> None:
    keys = {"SIM_SECRET_KEY", "SIM_ENCRYPTION_KEY"}
    untested = {
        name
        for name in VARIABLES
        if not is_number(name) and not is_flag(name) and name not in {*TEXTS, *ANY, *keys}
    }
    assert not untested, "give TEXTS wrong values of these"
    assert len(VARIABLES) > 30


def test_each_invalid_value_is_one_sentence_with_a_hint(read: Any) -> None:
    for variables in invalid_environments():
        _, errors = read(**variables)
        assert names_in(errors) == sorted(variables), variables
        for error in errors:
            assert error.msg.rstrip().endswith(".")
            assert error.hint and "\n" not in error.msg + error.hint and len(error.msg) < 300


def test_env_file_must_exist_if_it_is_named_even_if_it_is_the_default_one(
    read: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(installation, "home", lambda: tmp_path)
    assert read(SIM_ENV_FILE="")[1] == []
    _, [error] = read(SIM_ENV_FILE=str(tmp_path / ".env"))
    assert (
        error.msg
        == f"SIM_ENV_FILE names {tmp_path}/.env, which cannot be read: No such file or directory."
    )


def test_settings_that_no_longer_exist_are_a_warning(
    read: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The file .env of an older version has them."""
    monkeypatch.setenv("SIM_CONNECTIONS", "8000")
    monkeypatch.setenv("SIM_BODY_RATE", "not a number")
    monkeypatch.setenv("SIM_BODY_WINDOW", "")
    assert read()[1] == []
    checks.require_valid_settings()
    assert "no effect: SIM_CONNECTIONS, SIM_BODY_RATE." in caplog.text


def test_zero_is_refused(read: Any) -> None:
    names = [name for name in VARIABLES if is_number(name) and name not in MAY_BE_ZERO]
    _, errors = read(**dict.fromkeys(names, "0"))
    assert names_in(errors) == sorted(names)
    assert all(" must be " in error.msg for error in errors)


def test_empty_value_means_the_default(read: Any) -> None:
    names = {*VARIABLES} - {"SIM_DATA_DIR", "SIM_ALLOW_NETWORKS"}
    default, _ = read()
    settings, errors = read(**dict.fromkeys(names, " "))
    assert not errors
    assert {name: settings.get(name) for name in names} == {n: default.get(n) for n in names}


def test_empty_networks_mean_the_public_internet_only(read: Any) -> None:
    assert read()[0]["SIM_ALLOW_NETWORKS"] == "loopback,private"
    assert read(SIM_ALLOW_NETWORKS="")[0]["SIM_ALLOW_NETWORKS"] == ""


@pytest.mark.parametrize("value", KEYS)
def test_server_profile_refuses_weak_or_missing_keys(read: Any, value: str) -> None:
    names = ("SIM_SECRET_KEY", "SIM_ENCRYPTION_KEY")
    _, errors = read(**{**SERVER, **dict.fromkeys(names, value)})
    assert names_in(errors) == sorted(names)
    for error in errors:
        assert " is " in error.msg and (not value or value not in error.msg)
        assert "secrets.token_urlsafe" in error.hint


def test_each_encryption_key_of_a_list_is_checked(read: Any) -> None:
    good = SERVER["SIM_ENCRYPTION_KEY"]
    assert read(**SERVER)[1] == []
    assert read(**SERVER | {"SIM_ENCRYPTION_KEY": f"{good}, {good[::-1]}"})[1] == []
    for value, reason in ((f"{good},weak", "easy to guess"), (f"{good},", "empty key")):
        _, [error] = read(**SERVER | {"SIM_ENCRYPTION_KEY": value})
        assert reason in error.msg and good not in error.msg


def test_refused_start_creates_no_keys(read: Any, tmp_path: Path) -> None:
    read(SIM_PROFILE="prod")
    assert not (tmp_path / "encryption_key").exists()


def test_all_invalid_values_are_reported(read: Any) -> None:
    _, errors = read(SIM_CALLS="abc", SIM_BIND="x", SIM_HTTP_TIMEOUT="-1")
    assert {error.msg.partition(" ")[0] for error in errors} == {
        "SIM_CALLS",
        "SIM_BIND",
        "SIM_HTTP_TIMEOUT",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://u:secret-word@h/n"),
        ("DATABASE_URL", "postgres://u:secret-word@h:abc/n"),
        ("CELERY_BROKER_URL", "http://u:secret-word@h"),
        ("SIM_HTTP_PROXY", "socks5://u:secret-word@h"),
        ("SIM_HTTP_PROXY", "http://u:secret-word@h:99999"),
        ("SIM_VENDOR_API_KEY", "SU-1:secret-word"),
    ],
)
def test_message_shows_no_credentials(read: Any, name: str, value: str) -> None:
    _, [error] = read(**{name: value})
    assert "secret-word" not in error.msg + error.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIM_BIND", "0.0.0.0:80"), ("SIM_BIND", "[::1]:8000"), ("SIM_BIND", "localhost:8000"),
        ("SIM_API_URL", "https://sim.example.com"), ("SIM_API_URL", "http://[::1]:8000"),
        ("SIM_CALLS", "1"), ("SIM_HTTP_TIMEOUT", "0.5"), ("SIM_RETRY_FACTOR", "1"),
        ("SIM_ALLOW_NETWORKS", "loopback, 10.0.0.0/8"),
        ("SIM_HTTP_PROXY", "http://u:p@proxy.example.com:3128"), ("SIM_LOG_LEVEL", "DEBUG"),
        ("SIM_METRICS_HOST", "0.0.0.0"), ("SIM_METRICS_HOST", "::1"), ("SIM_METRICS_PORT", "1"),
        ("CELERY_BROKER_URL", "rediss://u:p@redis.example.com:6379/1"),
        ("SIM_VENDOR_API_KEY", "ApiKey SU-111-111-111:0123456789"),
    ],
)  # fmt: skip
def test_valid_values_are_accepted(read: Any, name: str, value: str) -> None:
    settings, errors = read(**{name: value})
    assert not errors
    assert settings[name] == type(settings[name])(value)


def test_api_url_is_the_root_of_the_server(read: Any) -> None:
    for url in ("https://x.example.com/", "https://x.example.com/public/v1/"):
        assert read(SIM_API_URL=url)[0]["SIM_API_URL"] == "https://x.example.com"


@pytest.mark.parametrize(
    ("given", "public", "api"),
    [
        ({}, "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ({"SIM_BIND": "0.0.0.0:9000"}, "http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ({"SIM_API_URL": "http://sim:8000"}, "http://sim:8000", "http://sim:8000"),
        ({"SIM_PUBLIC_URL": "http://h:9000/"}, "http://h:9000", "http://h:9000"),
        ({"SIM_API_URL": "http://sim:8000", "SIM_PUBLIC_URL": "http://h:9000"},
         "http://h:9000", "http://sim:8000"),
    ],
    ids=["default", "bind", "api", "public", "both"],
)  # fmt: skip
def test_urls_of_handlers_and_browsers_are_each_others_default(
    read: Any, given: dict[str, str], public: str, api: str
) -> None:
    settings, errors = read(**given)
    assert not errors
    assert (settings["SIM_PUBLIC_URL"], settings["SIM_API_URL"]) == (public, api)
    hosts = settings["ALLOWED_HOSTS"]
    assert {urlsplit(public).hostname, urlsplit(api).hostname} <= {*hosts}
    # No wildcard, with which a web page of any name could reach a sandbox.
    assert not [name for name in hosts if name.startswith((".", "*"))]


def test_database_is_configured_by_url(read: Any, tmp_path: Path) -> None:
    database = read(DATABASE_URL="postgres://u:p%40ss@h:5433/n")[0]["DATABASES"]["default"]
    assert (database["USER"], database["PASSWORD"], database["PORT"]) == ("u", "p@ss", 5433)
    database = read(DATABASE_URL=f"sqlite:///{tmp_path}/other.sqlite3")[0]["DATABASES"]["default"]
    assert database["NAME"] == f"{tmp_path}/other.sqlite3"


def options(read: Any, query: str = "", **limits: str) -> dict[str, Any]:
    """Return the options of a PostgreSQL connection."""
    values, errors = read(DATABASE_URL=f"postgres://u@h/n?{query}", **limits)
    assert not errors
    return values["DATABASES"]["default"]["OPTIONS"]


def test_postgresql_gets_limits_in_milliseconds(read: Any) -> None:
    config = options(read)
    assert config["options"] == (
        "-c lock_timeout=10000 -c statement_timeout=60000 "
        "-c idle_in_transaction_session_timeout=4000 -c tcp_user_timeout=4000"
    )
    assert (config["keepalives"], config["connect_timeout"]) == (1, 10)


def test_options_of_the_database_url_win(read: Any) -> None:
    config = options(read, "sslmode=require&options=-c%20lock_timeout%3D1&connect_timeout=3")
    assert (config["sslmode"], config["connect_timeout"]) == ("require", 3)
    # If a parameter is repeated, PostgreSQL uses the later value.
    assert config["options"].startswith("-c lock_timeout=10000 ")
    assert config["options"].endswith(" -c lock_timeout=1")


def test_postgresql_gets_nothing_without_limits(read: Any) -> None:
    """Some connection poolers refuse the parameter."""
    none = {name: "0" for name in VARIABLES if name.endswith("_TIMEOUT") and name in MAY_BE_ZERO}
    assert len(none) == 3
    assert "options" not in options(read, **none)
    assert options(read, "options=-c%20a%3Db", **none)["options"] == "-c a=b"


def test_sqlite_connection_caches_two_mebibytes_at_most(read: Any, tmp_path: Path) -> None:
    statements = read()[0]["DATABASES"]["default"]["OPTIONS"]["init_command"]
    with sqlite3.connect(tmp_path / "db.sqlite3") as connection:
        for statement in statements.split(";"):
            connection.execute(statement)
        [size] = connection.execute("PRAGMA cache_size").fetchone()
        [page] = connection.execute("PRAGMA page_size").fetchone()
    assert 1 <= (-size * 1024 if size < 0 else size * page) / 2**20 <= 2


COOKIES = ("SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "SIM_MESSAGES_COOKIE_NAME")


def test_each_data_folder_has_cookies_of_its_own(read: Any, tmp_path: Path) -> None:
    def cookies(**variables: str) -> list[str]:
        values, _ = read(**variables)
        return [values[name] for name in COOKIES]

    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    first = cookies(SIM_DATA_DIR=one)
    assert len(set(first)) == 3
    assert cookies(SIM_DATA_DIR=one, SIM_BIND="127.0.0.1:9000") == first
    assert not set(first) & set(cookies(SIM_DATA_DIR=two))
    # In containers the paths are the same; sandboxes may be given the same key.
    key = SERVER["SIM_SECRET_KEY"]
    with_key = cookies(SIM_DATA_DIR=one, SIM_SECRET_KEY=key)
    assert not set(first) & set(with_key)
    assert not set(with_key) & set(cookies(SIM_DATA_DIR=two, SIM_SECRET_KEY=key))
    # The processes of a server may have any folders.
    assert cookies(**SERVER, SIM_DATA_DIR=one) == cookies(**SERVER, SIM_DATA_DIR=two)


def test_hsts_is_set_by_variables_only(read: Any) -> None:
    names = ("SECURE_HSTS_SECONDS", "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_HSTS_PRELOAD")
    values, _ = read(**SERVER)
    assert [values[name] for name in names] == [0, False, False]
    values, problems = read(
        **SERVER, SIM_HSTS_SECONDS="3600", SIM_HSTS_SUBDOMAINS="true", SIM_HSTS_PRELOAD="true"
    )
    assert [values[name] for name in names] == [3600, True, True]
    assert problems == []

"""Environment variables, and the converters to the values of settings.

Each converter raises ValueError with the rest of a sentence that begins with the variable's name.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import environ
from django.core.checks import Error

from connect_sim import data_folder
from connect_sim.server.proxies import TrustedProxies
from webhooks.http import addresses
from webhooks.http.addresses import parse_networks
from webhooks.http.urls import check_url

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9_.])?")
_IPV6 = re.compile(r"\[[0-9A-Fa-f:.]{2,45}\]")
_BROKERS = ("memory", "redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps")
_DATABASES = ("sqlite", "postgres", "postgresql")
# An unreachable host is detected after about 30 s.
_POSTGRESQL_OPTIONS = {
    "connect_timeout": 10,  # seconds
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds, of sent data
}
# 32 random bytes are 43 characters of base64 and 64 of hexadecimal digits.
_KEY_LENGTH, _KEY_CHARACTERS = 32, 8
_FLAGS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
T = TypeVar("T")


class Variables:
    """The variables of the environment, and the `problems` of the invalid ones.

    The system checks report these, and prevent the start; the defaults are used until then.
    """

    def __init__(self) -> None:
        self.problems: list[Error] = []

    def report(self, name: str, sentence: str, hint: str) -> None:
        """Record an invalid variable; `sentence` follows its name."""
        self.problems.append(Error(f"{name} {sentence}", hint=hint, id="connect_sim.E001"))

    def read(
        self,
        name: str,
        default: T,
        convert: Callable[[str], T],
        *,
        example: str = "",
        secret: bool = False,
        blank: bool = False,
    ) -> T:
        """Return a variable's value, or the default if it is invalid or, unless `blank`, empty.

        A ValueError of `convert` continues the sentence that the name begins. A `secret` isn't
        shown.
        """
        text = os.environ.get(name, "").strip()
        if not text and not (blank and name in os.environ):
            return default
        try:
            return convert(text)
        except ValueError as error:
            shown = repr(text if len(text) <= 60 else f"{text[:60]}…")
            if example:
                value = "" if secret else f" The value is {shown}."
                self.report(name, f"{error}{value}", f"Set, for example, {name}={example}.")
            else:
                normal = f"{default:.12g}" if isinstance(default, float) else str(default)
                normal = normal.lower() if isinstance(default, bool) else normal
                hint = f"Correct the variable or remove it; the default is {normal}."
                self.report(name, f"{error}, not {shown}.", hint)
            return default

    def secret_key(self, name: str, convert: Callable[[str], str], folder: Path | None) -> str:
        """Return a configured key; a sandbox creates its own in its data folder (None: refuse)."""
        configured = self.read(name, "", str)
        if folder is not None:
            # A start that the system checks refuse must not create files.
            may_create = not configured and not self.problems
            path = folder / name.removeprefix("SIM_").lower()
            return data_folder.key(path) if may_create else configured or secrets.token_urlsafe(48)
        try:
            if not configured:
                raise ValueError("is not set; SIM_PROFILE=server creates no keys.")
            return convert(configured)
        except ValueError as error:
            how = 'Create one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'
            self.report(name, str(error), how)
            return configured or secrets.token_urlsafe(48)


def _converter(
    convert: Callable[[str], T],
    requirement: str,
    is_valid: Callable[[T], bool] = lambda value: True,
) -> Callable[[str], T]:
    def checked(text: str) -> T:
        with suppress(ValueError, KeyError):
            if is_valid(value := convert(text)):
                return value
        raise ValueError(requirement)

    return checked


def integer(*, minimum: int = 1, maximum: int = 10**9) -> Callable[[str], int]:
    """Return a converter to an integer within the limits."""
    requirement = f"must be a whole number from {minimum} to {maximum}"
    return _converter(int, requirement, lambda n: minimum <= n <= maximum)


def number(
    *, minimum: float | None = None, maximum: float = 366 * 24 * 3600
) -> Callable[[str], float]:
    """Return a converter to a number greater than 0, or at least `minimum`, up to `maximum`."""
    least = "greater than 0" if minimum is None else f"of {minimum:g} or more"
    requirement = f"must be a number {least}, and at most {maximum:.12g}"
    # NaN is refused too: it is neither more nor less.
    return _converter(
        float,
        requirement,
        lambda n: (n > 0 if minimum is None else n >= minimum) and n <= maximum,
    )


settle_time = _converter(float, "must be a number of seconds from 0 to 60.", lambda n: 0 <= n <= 60)
flag = _converter(lambda text: _FLAGS[text.lower()], "must be true or false")


version = _converter(
    str,
    "must be a version such as 37.0",
    lambda text: re.fullmatch(r"[0-9]{1,9}(\.[0-9A-Za-z-]{1,40}){1,4}", text) is not None,
)


def one_of(*allowed: str) -> Callable[[str], str]:
    """Return a converter that accepts the allowed texts only."""
    return _converter(str, f"must be one of {', '.join(allowed)}", allowed.__contains__)


def bind(text: str) -> str:
    """Return `host:port`, or several, separated by spaces."""
    for address in text.split():
        host, _, port = address.rpartition(":")
        if not host or "/" in address or not _is_port(port):
            raise ValueError("must be host:port, with a port from 1 to 65535.")
        if host != "*" and not _IPV6.fullmatch(host) and not _HOST.fullmatch(host):
            raise ValueError("must be host:port, with an IPv6 address in brackets.")
    return text


def root_url(text: str) -> str:
    """Return the root URL of the server, without a trailing slash."""
    root = text.rstrip("/").removesuffix("/public/v1").rstrip("/")
    parts = _http_url(root)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must be a URL without a user name or password.")
    if parts.path or parts.query or parts.fragment:
        raise ValueError("must be the URL of the server's root, without a path or query.")
    if not root.isascii():
        raise ValueError("must be an ASCII URL; write other host names as xn--….")
    return root


def host(text: str) -> str:
    """Return a host name or an address, without a port; IPv6 without brackets."""
    try:
        if not _HOST.fullmatch(text):
            IPv6Address(text)
    except ValueError:
        raise ValueError("must be one host name or address, without a port.") from None
    return text


def hosts(text: str) -> list[str]:
    """Return host names, separated by commas; `.example.com` includes subdomains."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name != "*" and not _IPV6.fullmatch(name) and not _HOST.fullmatch(name.lstrip(".")):
            raise ValueError(
                "must be host names separated by commas, without a scheme, a port or a path."
            )
    return names


def _parsed(parse: Callable[[str], Any]) -> Callable[[str], str]:
    def convert(text: str) -> str:
        try:
            parse(text)
        except ValueError as error:
            # The message already begins with the name of the setting.
            raise ValueError(str(error).partition(" ")[2]) from None
        return text

    return convert


# The networks that handlers may be in, and the addresses and networks of trusted proxies.
networks = _parsed(parse_networks)
trusted_proxies = _parsed(TrustedProxies)


def proxy(text: str) -> str:
    """Return the URL of an HTTP proxy."""
    parts = _http_url(text)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must be the URL of a proxy, without a path or query.")
    return text


def otlp_endpoint(text: str) -> str:
    """Return the URL of a collector of OpenTelemetry, without `/v1/traces` and the like."""
    parts = _http_url(text)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be a URL without a password, a query or a fragment.")
    return text.rstrip("/").removesuffix("/v1/traces").removesuffix("/v1/metrics")


def ca_file(text: str) -> str:
    """Return the absolute path of a file with certificates of certificate authorities."""
    path = Path(text).absolute()
    try:
        addresses.tls_context(str(path))
    except addresses.Unusable as error:
        raise ValueError(f"cannot be used: {error}.") from None
    return str(path)


def key(text: str) -> str:
    """Return a key that is hard to guess."""
    if len(text) < _KEY_LENGTH or len(set(text)) < _KEY_CHARACTERS:
        raise ValueError(
            f"is too easy to guess: a key must have {_KEY_LENGTH} characters or more, of which "
            f"{_KEY_CHARACTERS} are different."
        )
    return text


def keys(text: str) -> str:
    """Return keys that are hard to guess, separated by commas."""
    for part in text.split(","):
        if not part.strip():
            raise ValueError("has an empty key: separate keys by one comma.")
        key(part.strip())
    return text


def database(text: str) -> dict[str, Any]:
    """Return Django's database settings for a URL."""
    _scheme(text, _DATABASES)
    try:
        config: dict[str, Any] = dict(environ.Env.db_url_config(text))
    except ValueError:
        raise ValueError("is not a valid URL: check its host and port.") from None
    if text.lower().startswith("sqlite:"):
        if config["NAME"] in ("", ":memory:"):
            raise ValueError("must name a file: each thread would have an SQLite of its own.")
    elif not config["NAME"]:
        raise ValueError("must name a database, as in postgres://user:password@host:5432/name.")
    else:
        config["OPTIONS"] = {**_POSTGRESQL_OPTIONS, **config.get("OPTIONS", {})}
    return config


def broker(text: str) -> str:
    """Return the URL of Celery's broker."""
    _scheme(text, _BROKERS)
    if not text.startswith("redis+socket:"):
        _split(text)
    return text


def _http_url(text: str) -> SplitResult:
    _scheme(text, ("http", "https"))
    parts = _split(text)
    try:
        # The same rules as for a handler's URL, except that a proxy's may contain credentials.
        check_url(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    except ValueError as error:
        raise ValueError(f"is not a valid URL. {error}") from None
    return parts


def _scheme(text: str, allowed: tuple[str, ...]) -> None:
    scheme, separator, _ = text.partition("://")
    if not separator or scheme.lower() not in allowed:
        *others, last = (f"{name}://" for name in allowed)
        raise ValueError(f"must begin with {', '.join(others)} or {last}.")


def _split(text: str) -> SplitResult:
    if re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ValueError("must be a URL without spaces.")
    try:
        parts = urlsplit(text)
        # urlsplit validates the port only when it is read.
        assert parts.port is None or parts.port > 0
    except (ValueError, AssertionError):
        raise ValueError("is not a valid URL: check its host and port.") from None
    return parts


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536

"""Validate and normalize the URL of a webhook, so that it can be parsed in only one way.

Called when a webhook is saved, and by the client before each request, so that the URL that is
checked is the one that is called. No ORM, no Django, no sockets.
"""

from __future__ import annotations

import re
import socket
import unicodedata
from ipaddress import IPv6Address
from urllib.parse import quote

import idna
from yarl import URL

MAX_LENGTH = 4096

_URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?]*)(?P<rest>.*)", re.IGNORECASE)
_BRACKETS = re.compile(r"\[(?P<host>[^\[\]]*)\](?P<port>:.*)?")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def check_url(url: str) -> str:
    """Return the normalized URL, its query unchanged; raises ValueError."""
    _check_text(url)
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("The URL must begin with http:// or https://.")
    authority, rest = match["authority"], match["rest"]
    if "@" in authority:
        raise ValueError("The URL may not contain a user name or password: use a header.")
    if "#" in authority or "#" in rest:
        raise ValueError("The URL may not have a fragment (from # on): it is never sent.")
    host, port = _split(authority)
    # Only non-ASCII characters are encoded: everything else is sent as entered.
    tail = "".join(c if c.isascii() else quote(c) for c in rest)
    normal = f"{match['scheme'].lower()}://{_host(host)}{_port(port)}{tail}"
    if len(normal) > MAX_LENGTH:
        raise ValueError(f"The URL may have at most {MAX_LENGTH} characters once it is encoded.")
    return normal


def _check_text(url: str) -> None:
    if not isinstance(url, str) or not url:
        raise ValueError("The URL may not be blank.")
    if len(url) > MAX_LENGTH:
        raise ValueError(f"The URL may have at most {MAX_LENGTH} characters.")
    for character in url:
        category = unicodedata.category(character)
        if category[0] == "Z" or character.isspace():
            raise ValueError("The URL may not contain spaces or line breaks; write a space as %20.")
        if category in ("Cc", "Cs"):
            raise ValueError("The URL may not contain control characters.")


def _split(authority: str) -> tuple[str, str]:
    if match := _BRACKETS.fullmatch(authority):
        return f"[{match['host']}]", (match["port"] or "")[1:]
    host, _, port = authority.partition(":")
    if ":" in port:
        raise ValueError("Put the IPv6 address in brackets, as in http://[::1]:8000/.")
    return host, port


def _port(port: str) -> str:
    if not port:
        return ""
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise ValueError("The port of the URL must be a number from 1 to 65535.")
    return f":{int(port)}"


def _host(host: str) -> str:
    if not host:
        raise ValueError("The URL has no host.")
    if host.startswith("["):
        return f"[{_ipv6(host[1:-1])}]"
    if not host.isascii():
        host = _idna(host)
    host = host.lower()
    labels = host.removesuffix(".").split(".")
    # Browsers and resolvers parse such a host as an IPv4 address, in decimal, octal or hex.
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(host.removesuffix("."))
    if len(host) > 254 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{host[:100]!r} is not a valid host name.")
    return host


def _idna(host: str) -> str:
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise ValueError(f"{host[:100]!r} is not a valid host name.") from None


def _ipv4(host: str) -> str:
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        raise ValueError(
            f"{host[:100]!r} ends in a number, but is not a valid IPv4 address."
        ) from None


def _ipv6(host: str) -> str:
    if "%" in host:
        raise ValueError("An IPv6 address with a zone id (from % on) cannot be called.")
    try:
        return str(IPv6Address(host))
    except ValueError:
        raise ValueError(f"{host[:100]!r} is not a valid IPv6 address.") from None


def proxy_url(proxy: str | None) -> URL | None:
    """Return the proxy's URL, or None without one; raises ValueError that doesn't quote it."""
    if not proxy:
        return None
    try:
        url = URL(proxy)
        is_usable = url.scheme in ("http", "https") and bool(url.host) and url.port != 0
    except (ValueError, TypeError):
        is_usable = False
    if not is_usable:
        # Not shown: it may contain a password.
        raise ValueError(
            "The proxy must be a URL of scheme http or https, such as http://proxy.example:3128."
        )
    return url

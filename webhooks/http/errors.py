"""Error messages for failed requests, which tell the handler's author what to do.

They replace the texts of aiohttp, TLS and the system, which may quote the request. Each message
has two versions: for the handler's owner, and for readers who may not see its address.
"""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace

import aiohttp
from aiohttp.http_exceptions import (
    ContentLengthError,
    HttpProcessingError,
    TransferEncodingError,
)

logger = logging.getLogger(__name__)

# Interim responses (1xx) of one request.
MAX_INTERIM = 16
# Bytes of all headers of a response, with those of interim responses.
MAX_HEAD = 65536

# Why a request failed, for statistics: `address` was refused here, `request` can't be sent as it
# is, `protocol` is a response that is not valid HTTP, `internal` an error of the simulator.
ERROR_CLASSES = (
    TIMEOUT,
    DNS,
    CONNECT,
    TLS,
    PROXY,
    DISCONNECTED,
    PROTOCOL,
    ADDRESS,
    REQUEST,
    STOPPED,
    INTERNAL,
) = (
    "timeout",
    "dns",
    "connect",
    "tls",
    "proxy",
    "disconnected",
    "protocol",
    "address",
    "request",
    "stopped",
    "internal",
)

# The latter for the response of a proxy to CONNECT.
MalformedHead = HttpProcessingError | aiohttp.ClientResponseError

# OpenSSL's verification codes (x509_vfy.h).
_CERTIFICATE = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed and not trusted here",
    19: "its chain ends in a certificate authority that is not trusted here",
    20: "its issuer is unknown (the server may not send the whole chain)",
    21: "its chain is incomplete",
    62: "it is for another host name",
    64: "it is for another address",
}
# Those that a trusted certificate would cure.
_UNTRUSTED = (18, 19, 20, 21)

_OS = {
    errno.ECONNREFUSED: "{peer} refused the connection: nothing listens there. "
    "Start the handler, or correct the URL.",
    errno.ENETUNREACH: "There is no route to {peer} from this machine.",
    errno.EHOSTUNREACH: "There is no route to {peer} from this machine.",
    errno.ETIMEDOUT: "{peer} did not accept the connection: it may be behind a firewall.",
    errno.ECONNRESET: "{peer} closed the connection while it was being opened{tls}.",
    errno.ECONNABORTED: "{peer} closed the connection while it was being opened{tls}.",
    errno.EPIPE: "{peer} closed the connection while it was being opened{tls}.",
    errno.EMFILE: "The simulator has reached its limit of open files: raise it (ulimit -n).",
    errno.ENFILE: "This machine has reached its limit of open files: raise it.",
    errno.EACCES: "This machine does not permit connections to {peer}.",
    errno.EPERM: "This machine does not permit connections to {peer}.",
}


class TooManyInterim(aiohttp.ClientError):
    """More 1xx responses than MAX_INTERIM."""


class HeadTooLarge(aiohttp.ClientError):
    """More bytes before the body than MAX_HEAD."""


class BodyBroken(aiohttp.ClientPayloadError):
    """A body with invalid framing."""


@dataclass(slots=True)
class Progress:
    """The progress of one request on its connection."""

    reused: bool = False
    start: bytes = b""
    interim: int = 0
    head: int = 0
    answered: bool = False
    # Called once, before the first byte is sent.
    on_sent: Callable[[], object] | None = None

    @property
    def unanswered_reuse(self) -> bool:
        """Whether a reused connection was closed before the first byte of a response."""
        return self.reused and not self.start


@dataclass(frozen=True, slots=True)
class Target:
    """The host and port of a request, and how it is reached."""

    host: str
    port: int | None
    tls: bool
    proxied: bool
    # Whether its address may be shown.
    is_shown: bool = True

    @property
    def peer(self) -> str:
        """Return the name of the other end of the connection."""
        if self.proxied:
            return "the proxy"
        if not self.is_shown:
            return "the handler"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def handler(self) -> str:
        """Return the host of the handler."""
        return self.host if self.is_shown else "the handler"

    @property
    def host_name(self) -> str:
        """Return the host name as the subject of a message."""
        return f"The host name {self.host}" if self.is_shown else "The host name of the handler"


def describe_error(exc: Exception, target: Target, progress: Progress) -> tuple[str, str, str]:
    """Return an error's message, its version without the handler's address, and its class."""
    described = [_describe(exc, t, progress) for t in (target, replace(target, is_shown=False))]
    (error_class, _), _ = described
    own, public = (m[:1].upper() + m[1:] if m.startswith("the ") else m for _, m in described)
    return own, public, error_class


def _describe(exc: Exception, target: Target, progress: Progress) -> tuple[str, str]:
    """Return the class, one of ERROR_CLASSES, and the message."""
    if isinstance(exc, aiohttp.ClientHttpProxyError):
        return PROXY, f"The proxy refused to connect to {target.handler} (HTTP {exc.status})."
    if isinstance(exc, aiohttp.ClientConnectorDNSError | socket.gaierror | UnicodeError):
        return DNS, _unknown_host(exc, target)
    # It is a subclass of OpenSSL's exception, but the code is in the one that it wraps.
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return TLS, _bad_certificate(exc.certificate_error, target)
    if isinstance(exc, ssl.SSLError):
        reason = getattr(exc, "os_error", exc)
        if getattr(reason, "reason", "") in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            return (
                TLS,
                f"{target.peer} does not speak TLS: use http:// for this port, or another port.",
            )
        return TLS, f"{target.peer} and the simulator could not agree on TLS: the handshake failed."
    if isinstance(exc, aiohttp.ClientConnectorError):
        text = _OS.get(exc.os_error.errno or 0, "No connection to {peer} could be opened.")
        tls = ", during the TLS handshake" if target.tls else ""
        return CONNECT, text.format(peer=target.peer, tls=tls)
    is_invalid = isinstance(exc, TooManyInterim | HeadTooLarge | BodyBroken | MalformedHead)
    if is_invalid or (not progress.answered and _is_not_http(progress)):
        error_class = PROTOCOL
    elif isinstance(exc, OSError | aiohttp.ClientConnectionError | aiohttp.ClientPayloadError):
        error_class = DISCONNECTED
    else:
        error_class = INTERNAL
    return error_class, _bad_body(exc) if progress.answered else _bad_head(exc, target, progress)


def _is_not_http(progress: Progress) -> bool:
    return bool(progress.start) and not b"HTTP/".startswith(progress.start.lstrip()[:5])


def _unknown_host(exc: Exception, target: Target) -> str:
    if target.proxied and isinstance(exc, aiohttp.ClientConnectorDNSError):
        return "The host name of the proxy is unknown: correct the proxy setting."
    cause = exc.os_error if isinstance(exc, aiohttp.ClientConnectorDNSError) else exc
    if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
        return f"{target.host_name} could not be resolved: DNS does not respond. Try again later."
    return f"{target.host_name} is unknown: correct the URL, or make the name resolvable."


def _bad_certificate(exc: Exception, target: Target) -> str:
    code = getattr(exc, "verify_code", 0)
    why = _CERTIFICATE.get(code, "it could not be verified")
    advice = " SIM_CA_FILE names certificates to trust." if code in _UNTRUSTED else ""
    return f"The TLS certificate of {target.handler} was refused: {why}.{advice}"


def _bad_body(exc: Exception) -> str:
    cause = exc.__cause__
    if isinstance(cause, ContentLengthError):
        return "The response is incomplete: its body is shorter than its Content-Length."
    if isinstance(cause, TransferEncodingError):
        return "The response is incomplete: its last chunk is missing."
    if isinstance(exc, BodyBroken):
        return "The response body is not valid HTTP: its chunks are malformed."
    return "The response is incomplete: the connection was lost during its body."


def _bad_head(exc: Exception, target: Target, progress: Progress) -> str:
    if isinstance(exc, TooManyInterim):
        return (
            f"{target.peer} sent more than {MAX_INTERIM} interim responses (1xx) and no final one."
        )
    if isinstance(exc, HeadTooLarge):
        return f"The response headers are larger than {MAX_HEAD} bytes."
    if progress.start.startswith((b"\x15\x03", b"\x16\x03")):
        return f"{target.peer} speaks TLS: use https://."
    if _is_not_http(progress):
        return f"{target.peer} returned something that is not HTTP."
    if isinstance(exc, MalformedHead):
        return _malformed(exc)
    if isinstance(exc, OSError | aiohttp.ClientConnectionError):
        if progress.start:
            return f"{target.peer} closed the connection in the middle of the headers."
        return f"{target.peer} closed the connection without a response."
    # Only the type: the text of an unknown error may quote the request, and so the token.
    if target.is_shown:
        logger.error("A request failed with an unexpected %s.", type(exc).__name__)
    return f"The call to {target.peer} failed for an unknown reason."


def _malformed(exc: MalformedHead) -> str:
    if "Too many headers" in exc.message:
        return "The response has too many headers (more than 128)."
    if "more than" in exc.message:
        return "The status line or a header of the response is longer than 8190 bytes."
    return "The status line or the headers of the response are not valid HTTP."

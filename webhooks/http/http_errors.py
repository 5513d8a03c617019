"""What went wrong with a call, in a sentence that the handler's author can act on.

`transport` hands over every exception of aiohttp, of TLS and of the system; none of their own
text is shown, since it speaks of our insides. Each sentence is there twice: for the handler's
owner, and for others, who don't learn its address.
"""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from dataclasses import dataclass, replace

import aiohttp
from aiohttp.http_exceptions import ContentLengthError, TransferEncodingError

from webhooks.http.connection import (
    MAX_HEAD,
    MAX_INTERIM,
    BodyBroken,
    HeadTooLarge,
    Progress,
    TooManyInterim,
)

logger = logging.getLogger(__name__)

# OpenSSL's verification codes (x509_vfy.h).
_CERTIFICATE = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed, and nothing vouches for it",
    19: "its chain ends in a certificate authority that is not trusted here",
    20: "its issuer is not known here (the server may not send the whole chain)",
    21: "its chain is incomplete",
    62: "it is for another host name",
    64: "it is for another address",
}

_OS = {
    errno.ECONNREFUSED: "{peer} refused the connection: nothing listens there. "
    "Start the handler, or correct the URL.",
    errno.ENETUNREACH: "There is no route to {peer} from this machine.",
    errno.EHOSTUNREACH: "There is no route to {peer} from this machine.",
    errno.ETIMEDOUT: "{peer} did not take the connection: it may be behind a firewall.",
    errno.ECONNRESET: "{peer} closed the connection while it was being opened{tls}.",
    errno.ECONNABORTED: "{peer} closed the connection while it was being opened{tls}.",
    errno.EPIPE: "{peer} closed the connection while it was being opened{tls}.",
    errno.EMFILE: "The simulator has no file left to open: raise its limit of open files.",
    errno.ENFILE: "The machine has no file left to open: raise its limit of open files.",
    errno.EACCES: "This machine does not permit connections to {peer}.",
    errno.EPERM: "This machine does not permit connections to {peer}.",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Whom the call was for, and by which way."""

    host: str
    port: int | None
    tls: bool
    proxied: bool
    # Whether its address may be named.
    named: bool = True

    @property
    def peer(self) -> str:
        """Return the other end of the connection, in words."""
        if self.proxied:
            return "the proxy"
        if not self.named:
            return "the handler"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def who(self) -> str:
        """Return the handler by its host, in words."""
        return self.host if self.named else "the handler"

    @property
    def name(self) -> str:
        """Return the handler's host name, in words."""
        return f"The host name {self.host}" if self.named else "The host name of the handler"


def describe_error(exc: Exception, place: Target, progress: Progress) -> tuple[str, str]:
    """Return the sentence for an exception that ended a call: for its owner, and for others."""
    both = [_sentence(exc, each, progress) for each in (place, replace(place, named=False))]
    own, others = (s[:1].upper() + s[1:] if s.startswith("the ") else s for s in both)
    return own, others


def _sentence(exc: Exception, place: Target, progress: Progress) -> str:
    if isinstance(exc, aiohttp.ClientHttpProxyError):
        return f"The proxy refused to connect to {place.who}: it answered {exc.status}."
    if isinstance(exc, aiohttp.ClientConnectorDNSError | socket.gaierror | UnicodeError):
        return _unknown_host(exc, place)
    # It poses as OpenSSL's own exception, but the code stands in the one that it wraps.
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return _bad_certificate(exc.certificate_error, place)
    if isinstance(exc, ssl.SSLError):
        return _bad_tls(exc, place)
    if isinstance(exc, aiohttp.ClientConnectorError):
        return _not_connected(exc.os_error, place)
    if progress.answered:
        return _bad_body(exc)
    return _bad_head(exc, place, progress)


def _unknown_host(exc: Exception, place: Target) -> str:
    if place.proxied and isinstance(exc, aiohttp.ClientConnectorDNSError):
        return "The host name of the proxy is unknown: correct the proxy setting."
    cause = exc.os_error if isinstance(exc, aiohttp.ClientConnectorDNSError) else exc
    if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
        return f"{place.name} could not be looked up: DNS does not answer just now."
    return f"{place.name} is unknown: correct the URL, or make the name resolvable."


def _bad_certificate(exc: Exception, place: Target) -> str:
    code = getattr(exc, "verify_code", 0)
    why = _CERTIFICATE.get(code, "it could not be verified")
    return f"The TLS certificate of {place.who} was refused: {why}."


def _bad_tls(exc: ssl.SSLError, place: Target) -> str:
    reason = getattr(exc, "os_error", exc)
    if getattr(reason, "reason", "") in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return f"{place.peer} does not speak TLS: use http:// for this port, or another port."
    return f"{place.peer} and the simulator could not agree on TLS: the handshake failed."


def _not_connected(cause: OSError, place: Target) -> str:
    text = _OS.get(cause.errno or 0, "No connection to {peer} could be opened.")
    return text.format(peer=place.peer, tls=", during the TLS handshake" if place.tls else "")


def _bad_body(exc: Exception) -> str:
    cause = exc.__cause__
    if isinstance(cause, ContentLengthError):
        return "The answer broke off: its body is shorter than its Content-Length says."
    if isinstance(cause, TransferEncodingError):
        return "The answer broke off: its last chunk never came."
    if isinstance(exc, BodyBroken):
        return "The body of the answer is not valid HTTP: its chunks are malformed."
    return "The answer broke off: the connection was lost in the middle of its body."


def _bad_head(exc: Exception, place: Target, progress: Progress) -> str:
    if isinstance(exc, TooManyInterim):
        return f"{place.peer} sent more than {MAX_INTERIM} interim answers (1xx) and no final one."
    if isinstance(exc, HeadTooLarge):
        return f"The headers of the answer are larger than {MAX_HEAD} bytes."
    if progress.start.startswith((b"\x15\x03", b"\x16\x03")):
        return f"{place.peer} speaks TLS: use https://."
    if progress.start and not b"HTTP/".startswith(progress.start.lstrip()[:5]):
        return f"{place.peer} answered with something that is not HTTP."
    if isinstance(exc, aiohttp.ClientResponseError):
        return _malformed(exc)
    if isinstance(exc, OSError | aiohttp.ClientConnectionError):
        if progress.start:
            return f"{place.peer} closed the connection in the middle of the headers."
        return f"{place.peer} closed the connection without an answer."
    # The type only: the text of an unforeseen error may quote the request, and so the token.
    if place.named:
        logger.error("a call ended in an unforeseen %s", type(exc).__name__)
    return f"The call to {place.peer} failed for a reason unknown to the simulator."


def _malformed(exc: aiohttp.ClientResponseError) -> str:
    if "Too many headers" in exc.message:
        return "The answer has too many headers (more than 128)."
    if "more than" in exc.message:
        return "The status line or a header of the answer is longer than 8190 bytes."
    return "The status line or the headers of the answer are not valid HTTP."

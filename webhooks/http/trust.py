"""Which certificate authorities are trusted for handlers that use HTTPS. No ORM, no Django."""

from __future__ import annotations

import ssl


class Unusable(ValueError):
    """A file of certificates that cannot be used; the text is the reason, without a full stop."""


def context(ca_file: str) -> ssl.SSLContext:
    """Return a client's TLS context that trusts the system's authorities and those of a file.

    The file has one or more certificates in PEM format. Raises Unusable.
    """
    # With `cafile` as an argument, it would not load the system's.
    tls = ssl.create_default_context()
    # As aiohttp's own context.
    tls.set_alpn_protocols(("http/1.1",))
    try:
        tls.load_verify_locations(ca_file)
    except ssl.SSLError:
        raise Unusable("it has no certificates in PEM format, or a damaged one") from None
    except (OSError, ValueError) as error:
        raise Unusable(getattr(error, "strerror", None) or "it is not a file name") from None
    return tls

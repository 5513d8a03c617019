"""The token of a webhook's request."""

import jwt


def read(headers, secret):
    """Return the claims of a request's token; raises jwt.InvalidTokenError."""
    token = headers.get("Authentication", "").replace("Bearer ", "", 1)
    return jwt.decode(token, secret, algorithms=["HS256"], options={"require": ["exp"]})

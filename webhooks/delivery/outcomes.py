"""What a response means for the outcome of an attempt. No ORM, no Django."""

from __future__ import annotations

from webhooks.delivery import retry
from webhooks.http.client import Response


def classify_response(response: Response) -> tuple[str, str]:
    """Return the outcome of a response (2xx is success), and the error message of a failure."""
    if 200 <= response.status < 300:
        return retry.SUCCESS, ""
    if 300 <= response.status < 400:
        location = next((v for k, v in response.headers if k.lower() == "location"), "")
        target = f" to {location}" if location else ""
        return retry.FAILURE, (
            f"Handler returned HTTP {response.status}, a redirect{target} (expected 2xx). "
            "Redirects are not followed."
        )
    return retry.FAILURE, f"Handler returned HTTP {response.status} (expected 2xx)."

"""Shared by the scripts of connect-openapi-client: clients of both parties, and refusals."""

from bodies import (
    CONNECTIONS,
    METER,
    PLAIN,
    PROVIDER_KEY,
    SUITE,
    URL,
    VENDOR_KEY,
    hand_over,
    purchase,
)
from connect.client import ClientError, ConnectClient

__all__ = [
    "CONNECTIONS", "METER", "PLAIN", "PROVIDER_KEY", "SUITE", "URL", "VENDOR_KEY", "client",
    "described", "hand_over", "purchase", "refused",
]  # fmt: skip


def client(key=VENDOR_KEY, **options):
    return ConnectClient(key, endpoint=URL, **options)


def refused(call):
    """Return the client's error of a call that must be refused."""
    try:
        call()
    except ClientError as error:
        return described(error)
    raise AssertionError("the call was not refused")


def described(error):
    return {
        "status": error.status_code,
        "error_code": error.error_code,
        "errors": error.errors,
        "text": str(error),
        "params": error.additional_info.get("params"),
    }

"""Skip the tests of clients that this machine cannot run."""

from __future__ import annotations

from tests import environments

# connect-sdk 16.2 is built by Python 3.8 only: elsewhere there is nothing to collect, and the head
# of the run says so.
_SDK_16 = environments.older("3.8") is not None
collect_ignore = [] if _SDK_16 else ["test_connect_sdk_16.py"]


def pytest_report_header() -> str | None:
    """Return the line that names the skipped client."""
    return None if _SDK_16 else "connect-sdk 16.2 is not tested: Python 3.8 is not installed"

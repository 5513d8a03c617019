"""A sandbox and one handler, as a check uses them."""

from __future__ import annotations


class Lab:
    """A sandbox and one handler, as a check uses them."""

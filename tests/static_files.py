"""Search static files once per process instead of once per test client.

Each client of Django loads the middleware anew, and WhiteNoise looks for all static files then,
which takes longer than most requests of tests.
"""

from __future__ import annotations

from typing import Any

from whitenoise.middleware import WhiteNoiseMiddleware


def install() -> None:
    """Keep the files that the first middleware of this process finds."""
    search = WhiteNoiseMiddleware.add_files_from_finders
    found: dict[str, Any] = {}

    def add_files(self: Any) -> None:
        if not found:
            search(self)
            found.update(self.files)
        self.files.update(found)

    WhiteNoiseMiddleware.add_files_from_finders = add_files

"""The project: settings, URLs, Celery, web server and embedded runtime.

A process that imports a module of this package gets the server's other packages (`SERVER_PACKAGES`)
from one folder: `_server` in a wheel, so that site-packages has no such names, or the checkout.
A handler may have modules of the same names, in the current folder or on PYTHONPATH.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

__version__ = "0.1.0"

SERVER_PACKAGES = ("sandbox", "checks", "portal", "extensions", "webhooks", "requests_queue")
_HERE = Path(__file__).resolve().parent
_INSTALLED = _HERE / "_server"
IS_CHECKOUT = not _INSTALLED.is_dir()
_FOLDER = _HERE.parent if IS_CHECKOUT else _INSTALLED


class _ServerPackages(MetaPathFinder):
    """Finder of the server's packages.

    A folder at the front of `sys.path` would not be enough: Celery puts the current folder before
    it. After a bare `import connect_sim`, for its version, names mean what they meant before.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a server's package, and None for other modules."""
        if path is None and fullname in SERVER_PACKAGES and _is_server():
            return PathFinder.find_spec(fullname, [str(_FOLDER)])
        return None


def _is_server() -> bool:
    return any(name.startswith(f"{__name__}.") for name in list(sys.modules))


sys.meta_path.insert(0, _ServerPackages())

"""The handlers to start from: Home offers them, and `connect-sim init` copies their folders.

It imports no Django, so that the command starts quickly.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# A folder for each language, with a handler, its tests and a CI file.
FOLDER = Path(__file__).parent / "static" / "portal" / "handlers"


@dataclass(frozen=True, slots=True)
class Language:
    """A language: the handler's file, and the commands that start it and run its tests.

    `{host}` and `{port}` in `command` are where the handler listens.
    """

    label: str
    file: str
    command: str
    test: str
    needs: str


LANGUAGES = {
    "python": Language(
        "Python",
        "handler.py",
        "python3 handler.py",
        "pip install -r requirements.txt && python3 -m pytest",
        "Python 3.9 or newer",
    ),
    "node": Language(
        "Node.js",
        "handler.mjs",
        "node handler.mjs",
        "connect-sim exec -- node --test",
        "Node.js 18 or newer",
    ),
    "php": Language(
        "PHP",
        "handler.php",
        "php -S {host}:{port} handler.php",
        "connect-sim exec -- php test_handler.php",
        "PHP 8.1 or newer",
    ),
}

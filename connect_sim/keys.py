"""Keys that a sandbox makes for itself, kept in its data folder; a server is given them."""

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def given_or_generated(name: str, value: str, data_dir: Path, *, may_generate: bool) -> str:
    """Return `value`, or the key of that name from the data folder, made there on first use.

    Raises ImproperlyConfigured where a key must be given (the server profile) and is not.
    """
    if value:
        return value
    if not may_generate:
        raise ImproperlyConfigured(
            f"{name} is not set. Under SIM_PROFILE=server every key is given, none is made up; "
            f'make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'
        )
    return _read_or_make(data_dir / name.removeprefix("SIM_").lower())


def _read_or_make(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    if not path.exists():
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            # A link, unlike a rename, loses against a process that was first: both read its key.
            os.link(draft, path)
        except FileExistsError:
            pass
        draft.unlink()
    return path.read_text().strip()

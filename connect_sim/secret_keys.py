"""The two secret keys: configured on a server, created in the data folder by a sandbox."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from connect_sim import data_folder, setting_values
from connect_sim.environment import Environment

_HOW = 'Create one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'


def read(
    env: Environment,
    name: str,
    data_dir: Path,
    *,
    is_server: bool,
    check: Callable[[str], str] = setting_values.key,
) -> str:
    """Return a configured key, or the one of the data folder, which is created on first use.

    On a server a missing or weak key is recorded in `env`, and a random one is returned. Raises
    ImproperlyConfigured if the data folder cannot be used.
    """
    configured = env(name)
    if not is_server:
        # A start that the system checks refuse must not create files.
        may_create = not env.problems
        return configured or (_read_or_create(name, data_dir) if may_create else _random())
    if not configured:
        env.report(name, "is not set; SIM_PROFILE=server creates no keys.", _HOW)
        return _random()
    try:
        return check(configured)
    except ValueError as error:
        env.report(name, str(error), _HOW)
        return configured


def _read_or_create(name: str, data_dir: Path) -> str:
    path = data_dir / name.removeprefix("SIM_").lower()
    with data_folder.failures_named(path):
        data_folder.create(data_dir)
        if not path.exists():
            _create(path)
        key = data_folder.read_key(path).strip()
    if not key:
        raise data_folder.unusable(path, "it is empty; restore it from a backup, or delete it")
    return key


def _create(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(_random())
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link fails if another process was faster: both then read its key.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _random() -> str:
    return secrets.token_urlsafe(48)

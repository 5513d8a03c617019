"""The two secret keys: a server is given them; a sandbox creates them in its data folder."""

import os
import secrets
from pathlib import Path

from connect_sim import data_folder, setting_values
from connect_sim.environment import Environment

_HOW = 'Create one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'


def read(env: Environment, name: str, data_dir: Path, *, is_server: bool) -> str:
    """Return the key of that name, given or from the data folder, created there on first use.

    A key that is missing or weak on a server is recorded in `env`, and a random one is returned.
    Raises ImproperlyConfigured where the data folder cannot be used.
    """
    given = env(name)
    if not is_server:
        # A start that is going to be refused creates nothing.
        may_create = not env.problems
        return given or (_read_or_create(name, data_dir) if may_create else _random())
    if not given:
        env.report(name, "is not set; SIM_PROFILE=server creates no keys.", _HOW)
        return _random()
    try:
        return setting_values.key(given)
    except ValueError as error:
        env.report(name, str(error), _HOW)
        return given


def _read_or_create(name: str, data_dir: Path) -> str:
    path = data_dir / name.removeprefix("SIM_").lower()
    with data_folder.failures_named(path):
        data_folder.create(data_dir)
        if not path.exists():
            _create(path)
        key = path.read_text().strip()
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
        # A link, unlike a rename, fails where another process was first: both read its key.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _random() -> str:
    return secrets.token_urlsafe(48)

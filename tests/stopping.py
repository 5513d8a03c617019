"""A worker that stops itself in the middle of a transaction, as a paused container or a frozen
host does; run as a process of its own.

    python -m tests.stopping <where> engine            an engine alone
    python -m tests.stopping <where> manage.py …       a command, with the arguments that follow

`where` is a function as `module.name`: the process stops itself (SIGSTOP) before the first call of
it for which the file STOP_IN exists, and removes the file.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

# In the middle of a claim: holding deliveries and the advisory lock.
IN_CLAIM = "webhooks.tracing.marks"
# In the middle of a flush: holding deliveries and webhooks.
IN_FLUSH = "webhooks.delivery.record.insert_attempts"


def install(where: str) -> None:
    """Make the process stop itself at the given function."""
    module_name, _, name = where.rpartition(".")
    module = importlib.import_module(module_name)
    real = getattr(module, name)
    flag = Path(os.environ["STOP_IN"])

    def stopping(*args: Any) -> Any:
        if flag.exists():
            flag.unlink()
            # To this thread: with `os.kill`, another one may be told, and this one go on until
            # then, commit its claim, and be stopped outside of the transaction.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        return real(*args)

    setattr(module, name, stopping)


def main() -> None:
    """Run the engine until standard input ends, or a command of manage.py."""
    import django
    from django.core.management import execute_from_command_line

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    django.setup()
    where, what, *arguments = sys.argv[1:]
    install(where)
    if what == "manage.py":
        execute_from_command_line([what, *arguments])
        return
    from webhooks.delivery import engine

    engine.start()
    print("started", flush=True)
    sys.stdin.read()
    engine.stop()


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


if __name__ == "__main__":
    main()

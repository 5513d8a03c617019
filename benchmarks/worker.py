"""`manage.py worker` with an SQL counter: `python -m benchmarks.worker`."""

import os
import sys
from pathlib import Path

from benchmarks import sql_counter


def main() -> None:
    """Run the worker, without what only the development tools have installed."""
    # Django REST framework imports `requests` where it is, which takes 3 MiB. Our installations and
    # the image don't have it.
    sys.modules["requests"] = None  # type: ignore[assignment]
    from connect_sim.cli import django_commands

    sql_counter.install(Path(os.environ["BENCH_SQL_COUNTER"]))
    django_commands.run(["manage.py", "worker"])


if __name__ == "__main__":
    main()

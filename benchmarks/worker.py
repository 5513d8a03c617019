"""`manage.py worker` with an SQL counter: `python -m benchmarks.worker`."""

import os
from pathlib import Path

from benchmarks import sql_counter
from connect_sim.cli import django_commands


def main() -> None:
    """Run the worker."""
    sql_counter.install(Path(os.environ["BENCH_SQL_COUNTER"]))
    django_commands.run(["manage.py", "worker"])


if __name__ == "__main__":
    main()

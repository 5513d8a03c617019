"""Measure the memory for reading or processing spreadsheets, in a process of test_usage_memory.

`python -m tests.queue.catalog.spreadsheet_memory read|six|import|process FILE…` prints a line of
JSON for each, with `extra_mib`, the peak of the additional memory, `kept_mib`, the additional
memory afterwards, and `result`. `six` reads each file in six threads at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Before Django's settings are read.
from tests import environment as environment
from tests.queue.queues import test_usage_memory


def main(how: str, *paths: str) -> None:
    """Measure spreadsheets."""
    import django

    django.setup()
    act = _processor() if how == "process" else {"read": _read, "six": _six, "import": _import}[how]
    # Imports and caches that every spreadsheet needs are not part of the measurement.
    _read(test_usage_memory.xlsx())
    idle = _memory("VmRSS")
    for path in paths:
        _reset_peak()
        result = act(Path(path))
        extra, kept = _memory("VmHWM") - idle, _memory("VmRSS") - idle
        print(json.dumps({"extra_mib": extra, "kept_mib": kept, "result": result}))


def _reset_peak() -> None:
    """Begin the peak anew. That of `getrusage` includes the memory of the parent process."""
    Path("/proc/self/clear_refs").write_text("5")


def _memory(name: str) -> float:
    """Return a size of this process in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(name)


def _read(source: Path | bytes) -> str:
    from requests_queue.catalog.spreadsheets import limits
    from requests_queue.errors import Invalid
    from requests_queue.queues.usage_file import spreadsheet

    try:
        with spreadsheet.turn(lambda: None):
            content = source if isinstance(source, bytes) else source.read_bytes()
            spreadsheet.check(content, "usage_file")
            return f"{sum(1 for _ in spreadsheet.read(content).rows)} rows"
    except (limits.Unreadable, Invalid) as refused:
        return str(refused)


def _six(path: Path) -> str:
    with ThreadPoolExecutor(6) as pool:
        return " ".join(pool.map(_read, [path] * 6))


def _import(path: Path) -> str:
    from requests_queue.catalog.spreadsheets.limits import Unreadable
    from requests_queue.catalog.workbooks import reading

    # The sheet of the files that test_usage_memory makes.
    reading.sheets.GENERAL = "records"
    try:
        reading.read(path.read_bytes())
    except (Unreadable, reading.CellError) as refused:
        return str(refused)
    raise AssertionError("The workbook was not refused.")


def _processor() -> Callable[[Path], str]:
    from django.conf import settings
    from django.core.management import call_command

    from requests_queue.queues.usage_file import processing
    from requests_queue.queues.usage_file.models import UsageFile
    from tests.api import caller
    from tests.queue import spreadsheets as sheets
    from tests.queue.queues.test_usage_file import PATH, create

    settings.ALLOWED_HOSTS.append("testserver")
    call_command("migrate", verbosity=0)
    catalog = sheets.catalog()
    vendor = caller(catalog.vendor)

    def act(path: Path) -> str:
        pk = create(vendor, catalog)
        response = sheets.send(vendor, f"{PATH}/{pk}/upload", path.read_bytes())
        assert response.status == 201, response
        # The client, which is in this process, has the file several times.
        _reset_peak()
        processing.run(pk)
        file = UsageFile.objects.get(pk=pk)
        return f"{file.status} {file.validated} {file.error_detail}".strip()

    return act


if __name__ == "__main__":
    main(*sys.argv[1:])

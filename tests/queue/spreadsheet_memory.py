"""Measure the memory for reading or processing spreadsheets, in a process of test_usage_memory.

`python -m tests.queue.spreadsheet_memory read|process FILE…` prints a line of JSON for each, with
`extra_mib`, the peak of the additional memory so far, and `result`.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path

# Before Django's settings are read.
from tests import environment as environment


def main(how: str, *paths: str) -> None:
    """Measure spreadsheets."""
    import django

    django.setup()
    act = _processor() if how == "process" else _read
    # Imports and caches that every spreadsheet needs are not part of the measurement.
    _read(b"record_id\n")
    before = _peak()
    for path in paths:
        result = act(Path(path).read_bytes())
        print(json.dumps({"extra_mib": _peak() - before, "result": result}))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _read(content: bytes) -> str:
    from requests_queue.queues.usage_file import limits, spreadsheet

    try:
        limits.check(content, "usage_file")
        return f"{sum(1 for _ in spreadsheet.read(content).rows)} rows"
    except (limits.Unreadable, limits.Invalid) as refused:
        return str(refused)


def _processor() -> Callable[[bytes], str]:
    from django.conf import settings
    from django.core.management import call_command

    from requests_queue.queues.usage_file import processing
    from requests_queue.queues.usage_file.models import UsageFile
    from tests.api import caller
    from tests.queue import spreadsheets as sheets
    from tests.queue.test_usage_file import PATH, create

    settings.ALLOWED_HOSTS.append("testserver")
    call_command("migrate", verbosity=0)
    catalog = sheets.catalog()
    vendor = caller(catalog.vendor)

    def act(content: bytes) -> str:
        pk = create(vendor, catalog)
        response = sheets.send(vendor, f"{PATH}/{pk}/upload", content)
        assert response.status == 201, response
        processing.run(pk)
        file = UsageFile.objects.get(pk=pk)
        return f"{file.status} {file.validated} {file.error_detail}".strip()

    return act


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Which statements change something that a call is about."""

from __future__ import annotations

import re

# What the sandbox writes down of calls: also what earlier calls did, before a call that may write.
RECORDS = ("sandbox_apicall", "sandbox_apicallobject", "sandbox_timelineentry")
_WRITE = re.compile(
    r'\s*(?:INSERT INTO|UPDATE|DELETE FROM|INSERT|DELETE)\b\s*"?(\w+)', re.IGNORECASE
)


def changes_rows(statement: str) -> bool:
    """Return whether a statement inserts, changes or deletes rows other than records of calls."""
    written = _WRITE.match(statement)
    return written is not None and written[1] not in RECORDS

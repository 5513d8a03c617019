"""Files of snapshots as the API has them, and files that nobody has exported."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from typing import Any

from checks.client import Part
from tests.api import Caller, Response

# So long that no random content has it.
_BOUNDARY = "boundary-of-the-form"
Lines = list[Any]


def exported(caller: Caller, name: str, query: str = "") -> bytes:
    """Return the file of a snapshot."""
    response = caller.client.get(
        f"/sandbox/snapshots/{name}/file{query}", headers={"authorization": f"ApiKey {caller.key}"}
    )
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/gzip"
    return bytes(response.content)


def send(caller: Caller, content: bytes, *, to: str = "snapshot-files", **fields: str) -> Response:
    """Send a file to an endpoint, by default to import it, and return the response."""
    form = [Part("file", content, "snapshot.jsonl.gz")]
    form += [Part(name, value.encode()) for name, value in fields.items()]
    body = b"".join(part.encoded(_BOUNDARY) for part in form) + f"--{_BOUNDARY}--\r\n".encode()
    kind = f"multipart/form-data; boundary={_BOUNDARY}"
    return caller.post(f"/sandbox/{to}", body, **{"Content-Type": kind})


def imported(caller: Caller, content: bytes, **fields: str) -> dict[str, Any]:
    """Import a file, and return the answer of a success."""
    response = send(caller, content, **fields)
    assert response.status == 201, response
    return dict(response.json)


def lines(content: bytes) -> Lines:
    """Return the lines of a file."""
    return [json.loads(line) for line in gzip.decompress(content).splitlines()]


def packed(lines: Lines) -> bytes:
    """Return a file with these lines, and right digests."""
    digest, content = hashlib.sha256(), b""
    for line in lines:
        if isinstance(line, dict) and "end" in line:
            line = {**line, "sha256": digest.hexdigest()}
        text = json.dumps(line).encode() + b"\n"
        digest.update(text)
        content += text
    return gzip.compress(content)


def changed(content: bytes, change: Callable[[Lines], Any]) -> bytes:
    """Return a file that differs in some lines, and in the number of its rows."""
    changed_lines = lines(content)
    change(changed_lines)
    table, counts = "", changed_lines[0]["tables"]
    for line in changed_lines:
        if isinstance(line, dict) and "table" in line:
            table = line["table"]
            counts[table] = 0
        elif isinstance(line, list):
            counts[table] += 1
    return packed(changed_lines)


def place(lines: Lines, table: str) -> int:
    """Return where a table begins."""
    return next(
        number
        for number, line in enumerate(lines)
        if isinstance(line, dict) and line.get("table") == table
    )


def column(lines: Lines, table: str, name: str, value: Any) -> None:
    """Set a column of the first row of a table."""
    start = place(lines, table)
    lines[start + 1][lines[start]["columns"].index(name)] = value


def rows(content: bytes, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table by column."""
    all_lines = lines(content)
    start = place(all_lines, table) + 1
    names, count = all_lines[start - 1]["columns"], all_lines[0]["tables"][table]
    return [dict(zip(names, row, strict=True)) for row in all_lines[start : start + count]]

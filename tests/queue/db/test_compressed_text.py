"""Long texts are compressed in the database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from requests_queue.db.compressed_text import MIN_SIZE, pack, unpack
from tests.older_versions import on_both_databases, printed_by

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(text=st.builds(lambda part, count: part * count, TEXT, st.integers(1, 500)))
@example(text="(µ/ý")
@example(text="x" * (MIN_SIZE - 1))
@example(text="x" * MIN_SIZE)
def test_text_is_read_as_it_was_stored(text: str) -> None:
    assert unpack(pack(text)) == unpack(memoryview(pack(text))) == text


def test_only_long_texts_are_compressed() -> None:
    assert pack("é" * (MIN_SIZE // 2 - 1)) == ("é" * (MIN_SIZE // 2 - 1)).encode()
    assert len(pack("é" * (MIN_SIZE // 2))) < 50


def test_threads_compress_at_the_same_time() -> None:
    texts = [str(n) * 5_000 for n in range(50)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda text: unpack(pack(text)), texts * 10)) == texts * 10


# Stores calls as an older version did, migrates, stores one more, and prints what is read.
OLDER = r"""
import json
import django
django.setup()
from django.core.management import call_command
from django.db import connection

call_command("migrate", "sandbox", "0007", verbosity=0)
names = ["started_at", "real_started_at", "duration", "actor", "key", "method", "path", "query",
         "status", "error_code", "is_truncated", "user_agent", "link", "faults",
         "request_body", "response_body"]
at = "2026-11-02 10:00:00+00"
for body in BODIES:
    row = [at, at, 1.0, "handler", "", "GET", "/", "", 200, "", False, "", "", "[]", "", body]
    marks = ", ".join(["%s"] * len(names))
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO sandbox_apicall ({', '.join(names)}) VALUES ({marks})", row)
call_command("migrate", verbosity=0)
from sandbox.models import ApiCall

last = ApiCall.objects.last()
last.pk = None
last.save()
print(json.dumps(list(ApiCall.objects.values_list("request_body", "response_body"))))
"""
BODIES = ["", r'{"name": "a\\b\u00e9", "path": "C:\\x41"}', "é" * 20_000]


@on_both_databases
def test_texts_of_an_older_version_are_kept(database: str, tmp_path: Path) -> None:
    output = printed_by(OLDER.replace("BODIES", repr(BODIES)), database, tmp_path)
    assert output == [["", body] for body in [*BODIES, BODIES[-1]]]

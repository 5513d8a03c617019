"""A log line in JSON is one line of printable ASCII, whatever is logged."""

from __future__ import annotations

import json
import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_sim.logs import FIELDS, JsonFormatter, NotLogged
from requests_queue import operations
from requests_queue.operations import Operation

ERROR = RuntimeError("on purpose")


def line(message: Any, *args: Any, exc_info: Any = None, **extra: Any) -> dict[str, Any]:
    """Return a formatted record, decoded, after checking that it is one line of text."""
    record = logging.LogRecord("a.logger", logging.WARNING, __file__, 1, message, args, exc_info)
    record.__dict__.update(extra)
    text = JsonFormatter().format(record)
    assert text.isascii() and text.isprintable()
    assert len(text) < 64 * 1024
    decoded: dict[str, Any] = json.loads(text)
    return decoded


@pytest.mark.parametrize(
    ("marked", "error", "is_kept"),
    [
        (None, None, True),
        (None, ERROR, True),
        (True, None, False),
        (True, ERROR, True),
        (ERROR, None, False),
        (ERROR, ERROR, False),
        (ERROR, ValueError(), True),
    ],
)
def test_logged_response_hides_no_other_error_of_its_request(
    marked: Any, error: Exception | None, is_kept: bool
) -> None:
    info = error and (type(error), error, None)
    record = logging.LogRecord("django.request", logging.ERROR, __file__, 1, "x", (), info)
    record.request = SimpleNamespace(META={operations.IS_LOGGED: marked} if marked else {})
    assert NotLogged().filter(record) is is_kept


def test_record_without_a_request_is_kept() -> None:
    record = logging.LogRecord("django.request", logging.ERROR, __file__, 1, "x", (), None)
    assert NotLogged().filter(record)


def test_line_has_time_level_logger_and_message() -> None:
    shown = line("%s of %d", "one", 2, created=1764209600.5)
    assert shown == {
        "time": "2025-11-27T02:13:20.500Z",
        "level": "WARNING",
        "logger": "a.logger",
        "message": "one of 2",
    }


@pytest.mark.parametrize(
    "text",
    ["a\nb", 'a\r\n{"level": "INFO"}', "\x1b[31mred", "\x00", "\x7f", "\x85", "\u2028", "\ud800",
     "\u202e", "\N{GRINNING FACE}", '"\\'],
)  # fmt: skip
def test_control_characters_are_escaped(text: str) -> None:
    shown = line("%s", text, path=text)
    assert shown["message"] == text and shown["path"] == text


@given(st.text(), st.dictionaries(st.sampled_from(FIELDS), st.one_of(st.text(), st.integers())))
def test_any_text_is_one_line(text: str, extra: dict[str, Any]) -> None:
    line(text, **extra)
    line("%s", text, **extra)


def test_long_texts_keep_beginning_and_end() -> None:
    shown = line("begin" + "\N{SNOWMAN}" * 100_000 + "end", path="x" * 100_000)
    assert shown["message"].startswith("begin") and shown["message"].endswith("end")
    assert len(shown["message"]) < 2100 and len(shown["path"]) < 2100


def test_exception_is_one_field() -> None:
    try:
        raise ValueError("first\nsecond\x1b")
    except ValueError:
        shown = line("It failed.", exc_info=sys.exc_info())
    assert shown["exception"].startswith("Traceback (most recent call last):\n")
    assert shown["exception"].endswith("ValueError: first\nsecond\x1b")


class _Broken:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("message", "args", "text"),
    [
        ("%d", ("text",), "%d (cannot be shown: "),
        ("%s %s", (1,), "%s %s (cannot be shown: "),
        ("%s", (_Broken(),), "%s (cannot be shown: "),
        ("%", (1,), "% (cannot be shown: "),
        (_Broken(), (), "_Broken (cannot be shown: RuntimeError)"),
    ],
)
def test_message_that_cannot_be_shown_is_a_line_too(message: Any, args: Any, text: str) -> None:
    assert line(message, *args)["message"].startswith(text)


def test_only_known_fields_of_simple_types_are_written() -> None:
    shown = line(
        "x",
        webhook="WH-1",
        attempt=2,
        secret="s",
        headers={"a": "b"},
        path=object(),
        duration_ms=float("nan"),
    )
    assert {k: v for k, v in shown.items() if k in ("webhook", "attempt")} == {
        "webhook": "WH-1",
        "attempt": 2,
    }
    assert not {"secret", "headers", "path", "duration_ms"} & shown.keys()


def test_ids_of_the_operation_are_written() -> None:
    ids: dict[str, str | int] = {"webhook": "WH-1", "delivery": 5, "request_id": "abc"}
    with operations.working_on(Operation(ids)):
        operations.add_ids(account="VA-1")
        shown = line("x", delivery=6)
    assert (shown["webhook"], shown["request_id"], shown["account"]) == ("WH-1", "abc", "VA-1")
    # The line's own id wins: it may be about another delivery.
    assert shown["delivery"] == 6
    assert "webhook" not in line("x")


def test_trace_of_the_operation_is_written() -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with operations.working_on(Operation({}, traceparent)):
        shown = line("x")
    assert shown["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert shown["span_id"] == "b7ad6b7169203331"

"""Log lines: as text, or as one JSON object per line (SIM_LOG_FORMAT)."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from requests_queue import operations

JSON, TEXT = "json", "text"
# What a line has besides time, level, logger and message: ids, and what happened. Nothing else of
# `extra` is written, since libraries may put anything there.
FIELDS = (
    "webhook",
    "delivery",
    "attempt",
    "account",
    "request_id",
    "outcome",
    "method",
    "path",
    "status",
    "error_type",
    "duration_ms",
)
# Characters of one value: Docker and journald cut lines that are longer than 16 or 48 KiB, and what
# is not ASCII takes up to 6 bytes a character.
_LONGEST = 2000
_LONGEST_TRACEBACK = 8000

logger = logging.getLogger(__name__)


class NotLogged(logging.Filter):
    """Drop Django's own record about a response that is logged already, or wanted."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is kept: also if it has another error than the logged one."""
        logged = getattr(getattr(record, "request", None), "META", {}).get(operations.IS_LOGGED)
        error = record.exc_info[1] if record.exc_info else None
        return logged is None or error not in (None, logged)


class JsonFormatter(logging.Formatter):
    """Format a record as a JSON object in ASCII, in one line without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; never raises, because logging would print a traceback instead."""
        line: dict[str, Any] = {
            "time": _format_time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": _shorten(_message(record), _LONGEST),
        }
        ids = operations.current_ids()
        for name in FIELDS:
            value = getattr(record, name, None)
            # Django's own `extra` has objects of other types.
            value = value if isinstance(value, str | int) else ids.get(name)
            if value is not None:
                line[name] = _shorten(value, _LONGEST) if isinstance(value, str) else value
        if traceparent := operations.current_traceparent():
            _, line["trace_id"], line["span_id"], _ = traceparent.split("-")
        if exception := self._exception(record):
            line["exception"] = _shorten(exception, _LONGEST_TRACEBACK)
        # JSON escapes all control characters but DEL.
        return json.dumps(line).replace("\x7f", "\\u007f")

    def _exception(self, record: logging.LogRecord) -> str:
        try:
            if record.exc_info and not record.exc_text:
                record.exc_text = self.formatException(record.exc_info)
            stack = self.formatStack(record.stack_info) if record.stack_info else ""
            return "\n".join(part for part in (record.exc_text, stack) if part)
        except Exception as error:
            return f"(cannot be shown: {type(error).__name__})"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:
        message = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        return f"{message} (cannot be shown: {type(error).__name__})"


def _format_time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _shorten(text: str, limit: int) -> str:
    """Return the beginning and the end, where a traceback has its error."""
    if len(text) <= limit:
        return text
    return f"{text[: limit // 4]} … {text[-limit * 3 // 4 :]}"


def configure(config: dict[str, Any]) -> None:
    """Configure logging (Django's LOGGING_CONFIG).

    With JSON, warnings and exceptions that nothing catches are log lines too: Python would print
    several lines of text.
    """
    logging.config.dictConfig(config)
    if config["handlers"]["console"]["formatter"] == JSON:
        logging.captureWarnings(True)
        sys.excepthook = _log_uncaught
        threading.excepthook = _log_uncaught_in_thread


def _log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger.critical("The process ended with an error.", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    name = args.thread.name if args.thread else "unknown"
    error = args.exc_value or args.exc_type()
    logger.critical("The thread %s ended with an error.", name, exc_info=error)

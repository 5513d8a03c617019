"""The content of a trace, for tests."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

AT = "2026-11-26T13:50:35.120+00:00"
LATER = "2026-11-26T13:55:35.000+00:00"


def entry(cursor: str, kind: str, at: str = AT, **values: Any) -> dict[str, Any]:
    none = dict.fromkeys(("webhook", "delivery", "attempt", "object"))
    return {"cursor": cursor, "kind": kind, "at": at, "real_at": at, **none, "data": {}} | values


def call(pk: int, method: str, status: int = 200, **values: Any) -> dict[str, Any]:
    texts = dict.fromkeys(("query", "error_code", "request_body", "response_body"), "")
    return {
        "id": pk,
        "method": method,
        "path": "/public/v1/requests/PR-1",
        "status": status,
        "duration": 3.5,
        "started_at": AT,
        "actor": "handler",
        "account": "VA-1",
        "delivery": 7,
        "attempt": 1,
        "objects": ["PR-1"],
        **texts,
    } | values


def call_entry(cursor: str, pk: int, at: str = LATER) -> dict[str, Any]:
    data = {"id": pk, "method": "GET", "path": "/public/v1/requests", "status": 200, "duration": 3}
    return entry(cursor, "api_call", at, data=data)


FAILURE = {
    "text": "Expected PR-1 to be approved within 5 s; it has been pending since 13:50:35.",
    "object": "PR-1",
    "webhook": None,
    "reasons": ["PR-1 has been pending since 13:50:35"],
    "near_misses": [
        {
            "object": "PR-1",
            "webhook": None,
            "delivery": None,
            "attempt": None,
            "differs": [{"field": "status", "expected": "approved", "actual": "pending"}],
        }
    ],
    "evidence": [],
}
FINISHED = {"status": 500, "error": "", "duration": 8, "outcome": "failure", "objects": ["PR-1"]}
_ABOUT = {"webhook": "WH-1", "delivery": 7, "attempt": 1, "object": "PR-1"}
_CONTENT = {
    "trace": {
        "format": 1,
        "kind": "test",
        "name": "test_order.py::test_it",
        "result": "failed",
        "created_at": AT,
        "now": LATER,
        "seed": 7,
        "versions": {"connect-sim": "0.1.0", "python": "3.11.7"},
        "reproduce": "",
        "failures": [FAILURE],
        "report": "E  ExpectationError",
        "log": "",
        "moment": {"cursor": "0.4", "at": LATER, **_ABOUT},
        "left_out": {"entries": 0, "deliveries": 0, "calls": 0, "moments": 0},
    },
    "timeline": [
        entry("0.1", "change", object="PR-1", data={"from": None, "to": "pending"}),
        entry("0.2", "attempt_finished", **_ABOUT, data=FINISHED),
        call_entry("0.3", 3),
        call_entry("0.4", 4),
    ],
    "deliveries": [
        {
            "id": 7,
            "webhook": "WH-1",
            "state": "waiting",
            "objects": ["PR-1"],
            "attempts": [
                {
                    "number": 1,
                    "started_at": AT,
                    "outcome": "failure",
                    "error": "Handler returned HTTP 500 (expected 2xx).",
                    "duration": 8,
                    "request": {
                        "method": "POST",
                        "url": "http://127.0.0.1:9000/",
                        "headers": {"Content-Type": "application/json"},
                        "body": "{}",
                    },
                    "token": {"claims": {"webhook_id": "WH-1"}},
                    "response": {"status": 500, "body": "KeyError: 'mailbox'"},
                }
            ],
        }
    ],
    "calls": [
        call(3, "GET", response_body='{"id": "PR-1", "status": "pending", "note": ""}'),
        call(4, "PUT", 400, error_code="VAL_001", response_body='{"errors": ["Required."]}'),
    ],
    "state": [
        {
            "object": "PR-1",
            "moments": [
                {
                    "cursor": "0.1",
                    "at": AT,
                    "status": "pending",
                    "actor": "distributor",
                    "account": None,
                    "values": None,
                },
                {
                    "cursor": "0.3",
                    "at": LATER,
                    "status": "pending",
                    "actor": "",
                    "account": "VA-1",
                    "values": {"id": "PR-1", "status": "pending", "note": ""},
                },
                {
                    "cursor": "0.4",
                    "at": LATER,
                    "status": "approved",
                    "actor": "",
                    "account": "VA-1",
                    "values": {"id": "PR-1", "status": "approved", "note": "x"},
                },
            ],
        }
    ],
}


def content() -> Any:
    """Return the content of a trace, to be changed."""
    return deepcopy(_CONTENT)

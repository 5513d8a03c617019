"""Files of traces: their format, their limits, and files that are damaged."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from checks import trace_file, trace_states
from checks.trace_file import BadTrace
from tests.unit.checks.traces import AT, LATER, call, call_entry, content, entry

SCHEMA = json.loads(trace_file.SCHEMA.read_text())


def packed(change: Callable[[Any], Any]) -> bytes:
    """Return a file whose content was changed."""
    changed = content()
    change(changed)
    return trace_file.pack(changed)


def archived(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def parts(**changed: bytes) -> dict[str, bytes]:
    return {
        f"{name}.json": changed.get(name, json.dumps(content()[name]).encode())
        for name in trace_file.PARTS
    }


def test_file_has_what_was_written_and_is_as_its_schema_says(tmp_path: Path) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(content())
    path = tmp_path / "folder" / "it.connect-sim-trace"
    trace_file.save(trace_file.pack(content()), path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in path.parent.iterdir()) == [".gitignore", path.name]
    assert trace_file.load(path) == content()
    assert trace_file.pack(content()) == path.read_bytes()
    more = parts(trace=json.dumps({**content()["trace"], "later": 1}).encode())
    assert trace_file.unpack(archived({**more, "more.json": b"{}"}, zipfile.ZIP_STORED))


def test_folder_that_exists_is_not_ignored_by_git(tmp_path: Path) -> None:
    trace_file.save(b"", tmp_path / "it")
    assert [each.name for each in tmp_path.iterdir()] == ["it"]


def test_file_that_cannot_be_replaced_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "it").mkdir()
    with pytest.raises(OSError):
        trace_file.save(b"", tmp_path / "it")
    assert [each.name for each in tmp_path.iterdir()] == ["it"]


def test_secrets_are_replaced_in_all_texts() -> None:
    def repeat(changed: Any) -> None:
        changed["trace"]["failures"][0]["text"] = "canary-1"
        changed["calls"][0]["request_body"] = '{"a": "canary-1"}'
        changed["state"][0]["moments"][1]["values"]["canary-1"] = ["canary-1"]

    data = trace_file.without_secrets(packed(repeat), ["canary-1"])
    assert "canary" not in json.dumps(trace_file.unpack(data))


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


DAMAGED: dict[str, tuple[Any, str]] = {
    "empty": (b"", "not a trace"),
    "text": (b"hello", "not a trace"),
    "half": (trace_file.pack(content())[:-200], "not a trace"),
    "part": (archived({k: v for k, v in parts().items() if k != "calls.json"}), "not a trace"),
    "method": (archived(parts(), zipfile.ZIP_BZIP2), "another method"),
    "json": (archived(parts(calls=b"[")), "calls.json is not valid JSON"),
    "constant": (archived(parts(calls=b"[NaN]")), "calls.json is not valid JSON"),
    "bytes": (archived(parts(calls=b"\xff")), "calls.json is not valid JSON"),
    "deep": (archived(parts(calls=b"[" * 100_000)), "calls.json is not valid JSON"),
    "digits": (archived(parts(calls=b"[%s]" % (b"9" * 5000))), "calls.json is not valid JSON"),
    "newer": (lambda c: c["trace"].update(format=2), "has format 2"),
    "format": (lambda c: c["trace"].update(format="1"), "has no format"),
    "true": (lambda c: c["trace"].update(format=True), "has no format"),
    "list": (lambda c: c.update(trace=[]), "has no format"),
    "missing": (lambda c: c["trace"].pop("name"), "trace.name is missing"),
    "kind": (lambda c: c["trace"].update(kind="run"), "trace.kind has the wrong value"),
    "seed": (lambda c: c["trace"].update(seed=True), "trace.seed has the wrong type"),
    "time": (lambda c: c["timeline"][1].update(at="now"), "timeline[1].at is no moment"),
    "zone": (lambda c: c["trace"].update(now="2026-01-01T00:00:00"), "trace.now is no moment"),
    "data": (lambda c: c["timeline"][0].update(data=None), "timeline[0].data has the wrong type"),
    "header": (
        lambda c: c["deliveries"][0]["attempts"][0]["request"]["headers"].update(a=1),
        "deliveries[0].attempts[0].request.headers.a has the wrong type",
    ),
    "response": (
        lambda c: c["deliveries"][0]["attempts"][0].update(response={}),
        "deliveries[0].attempts[0].response.status is missing",
    ),
    "early": (
        lambda c: c["trace"].update(now="0001-01-01T00:00:00+14:00"),
        "trace.now is no moment",
    ),
    "infinite": (archived(parts(calls=b"[1e400]")), "calls.json is not valid JSON"),
    "number": (lambda c: c["trace"].update(seed=10**20), "trace.seed is too large"),
    "nested": (
        lambda c: c["state"][0]["moments"][1]["values"].update(a=nested(201)),
        "a value is nested too deeply",
    ),
    "large": (b"\0" * (trace_file.MAX_FILE + 1), "at most 16 MiB"),
    "unpacked": (
        archived(parts(calls=b" " * (trace_file.MAX_UNPACKED + 1))),
        "unpacked, it has at most 24 MiB",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_file_that_is_no_trace_is_one_sentence(name: str) -> None:
    damage, said = DAMAGED[name]
    data = packed(damage) if callable(damage) else damage
    with pytest.raises(BadTrace) as raised:
        trace_file.unpack(data)
    text = str(raised.value)
    assert said in text and "\n" not in text and text.endswith(".")


def test_any_damage_is_a_sentence() -> None:
    data, chance = trace_file.pack(content()), random.Random(7)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            trace_file.unpack(bytes(damaged))
        except BadTrace as error:
            text = str(error)
            assert "\n" not in text and text.endswith(".")


def test_rows_are_kept_from_the_newest_on_and_long_texts_are_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trace_file, "MAX_ROWS", 100)
    monkeypatch.setattr(trace_file, "LONGEST", 20)
    rows = [{"body": ["x" * 200]}, {"body": "y"}, {"body": "z" * 60}, {"body": ""}]
    cut = {"body": [f"{'x' * 20}… (200 characters)"]}
    assert trace_file.newest(rows) == [cut, {"body": "y"}]
    assert trace_file.newest([]) == []


# States.


def shown(pk: str, status: str, **values: Any) -> str:
    return json.dumps({"id": pk, "status": status, **values})


def test_state_follows_from_changes_and_responses_of_one_account() -> None:
    entries = [
        entry("0.1", "change", object="PR-1", data={"to": "pending", "actor": "distributor"}),
        call_entry("0.2", 1),
        call_entry("0.3", 2),
        call_entry("0.4", 3),
        call_entry("0.5", 4),
        entry("0.6", "change", LATER, object="PR-1", data={"to": "approved", "actor": "vendor"}),
        call_entry("0.7", 9),
    ]
    calls = [
        call(1, "GET", account="PA-1", actor="test", response_body=shown("PR-1", "pending", own=1)),
        call(2, "GET", response_body=f"[{shown('PR-1', 'pending')}, {shown('PRD-1', 'draft')}]"),
        call(3, "GET", response_body=shown("PR-1", "pending")),
        call(4, "PUT", response_body=shown("PR-1", "pending", note="x")),
    ]
    found = list(trace_states.states(entries, calls))
    assert [(pk, each["cursor"], each["status"], each["actor"]) for pk, each in found] == [
        ("PR-1", "0.1", "pending", "distributor"),
        ("PR-1", "0.3", "pending", ""),
        ("PR-1", "0.5", "pending", ""),
        ("PR-1", "0.6", "approved", "vendor"),
    ]
    moments = [each for _, each in found]
    assert moments[0]["values"] is None and moments[0]["account"] is None
    assert moments[3]["values"] == {"id": "PR-1", "status": "approved", "note": "x"}
    assert moments[3]["account"] == "VA-1"
    order = {each["cursor"]: place for place, each in enumerate(entries)}
    assert trace_states.state_after(moments, 3, order) == moments[1]
    assert trace_states.state_after(moments, -1, order) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"status": 404},
        {"query": "select(-asset)"},
        {"response_body": '{"id": "PR-1", "sta'},
        {"response_body": '"PR-1"'},
        {"response_body": "[null, 3]"},
        {"response_body": '{"id": 3}'},
        {"response_body": '{"id": "PR-1", "status": {}}'},
        {"response_body": '{"id": "PR-2", "status": "pending"}'},
    ],
)
def test_response_that_shows_no_object_whole_is_no_state(changed: dict[str, Any]) -> None:
    entries = [entry("0.1", "event", object="PR-1"), call_entry("0.2", 1)]
    usual = call(1, "GET", response_body=shown("PR-1", "pending"))
    assert len(list(trace_states.states(entries, [usual]))) == 1
    assert list(trace_states.states(entries, [{**usual, **changed}])) == []


def finished(number: int, outcome: str, pk: str = "PR-1", delivery: int = 7) -> dict[str, Any]:
    about = {"webhook": "WH-1", "delivery": delivery, "attempt": number}
    return entry(
        f"0.{number}", "attempt_finished", **about, data={"outcome": outcome, "objects": [pk]}
    )


MISS = {"object": "PR-1", "webhook": None, "delivery": 7, "attempt": 1, "differs": []}


@pytest.mark.parametrize(
    ("failures", "entries", "found"),
    [
        ([], [], (None, None, None, None)),
        ([], [entry("0.1", "change", object="PR-3")], ("PR-3", None, None, None)),
        ([], [finished(1, "success"), finished(2, "success")], ("PR-1", "WH-1", 7, 2)),
        ([], [finished(1, "failure"), finished(2, "success")], ("PR-1", "WH-1", 7, 1)),
        (
            [{"object": "PR-2", "webhook": None, "near_misses": []}],
            [finished(1, "success", "PR-2", 8), finished(2, "failure")],
            ("PR-2", "WH-1", 8, 1),
        ),
        (
            [{"object": None, "webhook": "WH-1", "near_misses": [MISS]}],
            [finished(1, "success"), finished(2, "failure")],
            ("PR-1", "WH-1", 7, 1),
        ),
    ],
)
def test_moment_names_what_the_failure_is_about(
    failures: list[Any], entries: list[Any], found: tuple[Any, ...]
) -> None:
    moment = trace_states.moment(failures, entries, LATER)
    names = ("object", "webhook", "delivery", "attempt")
    assert tuple(moment[name] for name in names) == found
    assert (moment["cursor"], moment["at"]) == (
        (entries[-1]["cursor"], AT) if entries else (None, LATER)
    )

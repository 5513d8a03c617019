"""Which parameters and files `make test` runs, drawn by the commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from tests import lanes


@dataclass
class Item:
    """What the draw reads and writes of a collected test."""

    nodeid: str
    marks: list[pytest.Mark] = field(default_factory=list)

    @property
    def keywords(self) -> set[str]:
        return {mark.name for mark in self.marks}

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return next((mark for mark in self.marks if mark.name == name), None)

    def add_marker(self, mark: pytest.MarkDecorator) -> None:
        self.marks.append(mark.mark)


def drawn(monkeypatch: pytest.MonkeyPatch, commit: str, names: Sequence[str],
          mark: pytest.MarkDecorator) -> list[str]:  # fmt: skip
    """Return the names of the tests that run for a commit."""
    monkeypatch.setattr(lanes, "commit", lambda: commit)
    items = [Item(name, [mark.mark]) for name in names]
    lanes.draw(items)
    return [item.nodeid for item in items if "nightly" not in item.keywords]


@pytest.mark.parametrize(("count", "share", "expected"), [(10, 3, 4), (9, 3, 3), (1, 5, 1)])
def test_share_of_the_parameters_runs_and_one_at_least(
    monkeypatch: pytest.MonkeyPatch, count: int, share: int, expected: int
) -> None:
    names = [f"tests/test_a.py::test_b[{n}]" for n in range(count)]
    assert len(drawn(monkeypatch, "1f", names, lanes.drawn(share))) == expected


def test_commits_draw_all_parameters_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"tests/test_a.py::test_b[{n}]" for n in range(10)]
    draws = [drawn(monkeypatch, f"{n:x}", names, lanes.drawn(3)) for n in range(50)]
    assert {name for names in draws for name in names} == set(names)
    assert drawn(monkeypatch, "0", names, lanes.drawn(3)) == draws[0] != draws[1]


def test_each_function_keeps_a_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"tests/test_a.py::test_{name}[{n}]" for name in "abc" for n in range(2)]
    kept = drawn(monkeypatch, "2e", names, lanes.drawn(9))
    assert [name.partition("[")[0][-1] for name in kept] == ["a", "b", "c"]


def test_file_runs_as_a_whole_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"tests/test_{file}.py::test_{n}" for file in "abcd" for n in range(5)]
    drawn_files = set[str]()
    for n in range(50):
        kept = drawn(monkeypatch, f"{n:x}", names, lanes.drawn_file(2))
        files = {name.partition("::")[0] for name in kept}
        assert len(files) == 2 and len(kept) == 10
        drawn_files |= files
    assert len(drawn_files) == 4


@pytest.mark.parametrize(
    "path", ["tests/e2e/test_{}.py", "tests/plugin/test_{}.py", "tests/portal/test_{}_browser.py"]
)
def test_one_in_six_of_the_files_that_start_programs_runs(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    other = pytest.mark.django_db
    names = [f"{path.format(file)}::test_a" for file in "abcdefghij"]
    draws = [drawn(monkeypatch, f"{n:x}", names, other) for n in range(50)]
    assert {len(kept) for kept in draws} == {2}
    assert {name for kept in draws for name in kept} == set(names)
    assert len(drawn(monkeypatch, "1f", names, lanes.drawn_file(9))) == 2
    plain = [f"tests/portal/test_{file}.py::test_a" for file in "abc"]
    assert drawn(monkeypatch, "1f", plain, other) == plain


class Node:
    """A worker, which notes the tests that it is to run."""

    shutting_down = False
    gateway = SimpleNamespace(id="gw")

    def __init__(self) -> None:
        self.tests: list[int] = []

    def send_runtest_some(self, tests: list[int]) -> None:
        self.tests += tests

    def shutdown(self) -> None:
        self.shutting_down = True


def test_every_other_worker_begins_with_the_tests_that_wait() -> None:
    waiting = [f"{lanes.WAITING}::test_variant[{n}]" for n in range(3)]
    tests = [*waiting, *(f"tests/queue/test_{name}.py::test_a" for name in "abcde")]
    nodes = [Node() for _ in range(2)]
    values = {"dist": "loadfile", "tx": ["popen"] * 2}
    config = SimpleNamespace(getvalue=values.get, option=SimpleNamespace(loadscopereorder=False))
    scheduler = lanes.pytest_xdist_make_scheduler(config, None)
    for node in nodes:
        scheduler.add_node(node)
        scheduler.add_node_collection(node, tests)
    scheduler.schedule()
    for place in range(len(tests) // 2):
        for node in nodes:
            scheduler.mark_test_complete(node, node.tests[place])
    assert nodes[0].tests[:3] == [0, 1, 2]
    assert not {0, 1, 2} & set(nodes[1].tests)
    assert sorted(nodes[0].tests + nodes[1].tests) == list(range(len(tests)))

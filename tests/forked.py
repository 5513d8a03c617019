"""Run tests in several processes, forked when all tests are collected (`-p tests.forked`).

A worker of xdist imports and collects everything again, and sends five messages per test to the
main process: for tests that take a millisecond, that is more than the tests themselves.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

# A forked process of macOS may crash in the system's libraries; Windows has no fork.
CAN_FORK = sys.platform == "linux"
# Of a pipe, which holds 64 KiB: the number of a file, as the processes read it.
SIZE = 2


def pytest_addoption(parser: Any) -> None:
    """Add `--processes`."""
    parser.addoption("--processes", type=int, default=1, help="run the files in forked processes")


def pytest_runtestloop(session: Any) -> bool | None:
    """Run the tests here and in forked processes, whose reports follow at the end.

    It takes the place of pytest's own loop; xdist's, if there are workers, comes before both.
    """
    options = session.config.option
    if options.processes < 2 or not CAN_FORK or options.collectonly or options.usepdb:
        return None
    if session.testsfailed and not options.continue_on_collection_errors:
        return None  # pytest's own loop says so
    # One folder for temporary files of all processes, which this one deletes.
    folder = session.config._tmp_path_factory.getbasetemp()
    work = Work(session.items)
    children = {}
    for number in range(1, options.processes):
        results = folder / f"reports-{number}"
        children[_fork(session, work, results)] = results
    try:
        work.run(session)
    finally:
        work.discard()
        codes = {pid: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children}
    for pid, results in children.items():
        if codes[pid]:
            raise RuntimeError(f"Process {pid}, which ran a part of the tests: exit {codes[pid]}.")
        _report(session.config, pickle.loads(results.read_bytes()))
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    return True


class Work:
    """The files of which each process takes the next one: their numbers are in a pipe."""

    def __init__(self, items: list[Any]) -> None:
        files: dict[Any, list[Any]] = defaultdict(list)
        for item in items:
            files[item.path].append(item)
        # The files with most tests come first: otherwise one process would still run one of them
        # when the others have finished.
        self._files = sorted(files.values(), key=len, reverse=True)
        self._numbers, writing = os.pipe()
        for number in range(len(self._files)):
            os.write(writing, number.to_bytes(SIZE, "big"))
        os.close(writing)

    def run(self, session: Any) -> None:
        """Run files until none is left, or pytest is to stop."""
        items = self._take()
        item = next(items, None)
        while item and not (session.shouldfail or session.shouldstop):
            # The next test decides which fixtures live on.
            following = next(items, None)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            item = following
        self.discard()

    def _take(self) -> Iterator[Any]:
        while number := os.read(self._numbers, SIZE):
            yield from self._files[int.from_bytes(number, "big")]

    def discard(self) -> None:
        """Leave no file to any process."""
        while os.read(self._numbers, 1 << 16):
            pass


def _fork(session: Any, work: Work, results: Path) -> int:
    pid = os.fork()
    if not pid:
        _run_child(session, work, results)
    return pid


def _run_child(session: Any, work: Work, results: Path) -> NoReturn:
    """Run files, store the reports and exit."""
    config = session.config
    reports: list[Any] = []

    class Recorder:
        def pytest_runtest_logreport(self, report: Any) -> None:
            reports.append(config.hook.pytest_report_to_serializable(config=config, report=report))

    status = 1
    try:
        # The main process prints.
        config.pluginmanager.unregister(name="terminalreporter")
        config.pluginmanager.register(Recorder())
        work.run(session)
        config.hook.pytest_sessionfinish(session=session, exitstatus=0)
        results.write_bytes(pickle.dumps(reports))
        status = 0
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    # Handlers of the main process's exit must not run twice.
    sys.__stderr__.flush()
    os._exit(status)


def _report(config: Any, reports: list[Any]) -> None:
    """Pass the reports of another process to pytest, which counts and prints them."""
    hook = config.hook
    for data in reports:
        report = hook.pytest_report_from_serializable(config=config, data=data)
        if report.when == "setup":
            hook.pytest_runtest_logstart(nodeid=report.nodeid, location=report.location)
        hook.pytest_runtest_logreport(report=report)
        if report.when == "teardown":
            hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)

"""The pytest plugin: options, fixtures, reports."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Generator, Iterator
from typing import Any, Callable

import pytest

from pytest_connect_sim import coverage, faults, finding, options, reports
from pytest_connect_sim.client import ApiError, Unreachable
from pytest_connect_sim.expectations import TIMELINE, ExpectationError
from pytest_connect_sim.lease import Lease
from pytest_connect_sim.process import Child
from pytest_connect_sim.server import SandboxError, Server, checked, configured
from pytest_connect_sim.serving import Serving
from pytest_connect_sim.simulator import ConnectSim
from pytest_connect_sim.version import VERSION

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True

_COVERAGE = pytest.StashKey[coverage.Coverage]()
_SIM = pytest.StashKey[ConnectSim]()
_MARK = pytest.StashKey[reports.Mark]()
# Of a test that this plugin fails at its end.
_SENTENCE = pytest.StashKey[str]()
_FAILURES = pytest.StashKey[list[Any]]()


class ConnectSimVersionWarning(UserWarning):
    """Plugin and server have different versions."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Define the options."""
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Define the marker, and check the options."""
    config.addinivalue_line("markers", options.MARKER)
    options.trace(config)
    for name in ("timeout", "start_timeout", "lease_timeout"):
        options.seconds(config, name)
    is_wanted, file, least = options.coverage(config)
    if is_wanted:
        collector = coverage.Coverage(config, file, least)
        config.stash[_COVERAGE] = collector
        config.pluginmanager.register(collector, "connect_sim_coverage")


def pytest_report_header(config: pytest.Config) -> str:
    """Return the version, and how the sandbox is found."""
    try:
        way = str(_way(config))
    except SandboxError:
        way = "no sandbox found"
    return f"connect-sim: {VERSION}, {way}"


def _way(config: pytest.Config) -> finding.Way:
    return finding.find(options.url(config), options.command(config), options.uvx(config))


@pytest.fixture(scope="session")
def connect_sim_server(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The sandbox of this process: `url`, `api_url`, `vendor_key`, `provider_key`.

    For fixtures of a wider scope than a test, such as a handler that runs during all tests.
    """
    way = reports.or_fail(lambda: _way(pytestconfig))
    if way.command is None:
        server = reports.or_fail(lambda: configured(way.url))
        yield from _covered(pytestconfig, _checked(server))
        return
    timeout = options.seconds(pytestconfig, "start_timeout")
    child = Child(way.command, tmp_path_factory.mktemp("connect-sim"), timeout)
    server = reports.or_fail(child.start)
    try:
        yield from _covered(pytestconfig, _checked(server))
    finally:
        child.stop()


def _covered(config: pytest.Config, server: Server) -> Iterator[Server]:
    """Yield the sandbox, and read its coverage afterwards if that is wanted."""
    collector = config.stash.get(_COVERAGE, None)
    if collector is None:
        yield server
        return
    # Others may have used it before.
    since = server.client().get("/sandbox/cursor")["cursor"] if server.is_shared else ""
    yield server
    collector.add(reports.or_fail(lambda: coverage.read(server.client(), since)))


def _checked(server: Server) -> Server:
    """Return the sandbox if it accepts the keys; warn if it has another version."""
    found: Server = reports.or_fail(lambda: checked(server))
    if found.version and found.version != VERSION:
        warnings.warn(
            f"pytest-connect-sim is {VERSION}, but the sandbox at {server.url} is "
            f"{found.version}. Install the same version of both.",
            ConnectSimVersionWarning,
            stacklevel=2,
        )
    return found


@pytest.fixture
def connect_sim(request: pytest.FixtureRequest, connect_sim_server: Server) -> Iterator[ConnectSim]:
    """A sandbox that was reset for this test."""
    config, item = request.config, request.node
    seed, product = options.marked(item)
    if not connect_sim_server.is_shared:
        yield from _running(_begin(connect_sim_server, item, seed, product))
        return
    note = f"{item.nodeid} in {_worker(config)}"
    timeout = options.seconds(config, "lease_timeout")
    lease = Lease(connect_sim_server.client(), note, timeout)
    reports.or_fail(lease.__enter__)
    try:
        yield from _running(_begin(connect_sim_server, item, seed, product))
    finally:
        lease.__exit__()
    reports.or_fail(lease.check)


def _running(sim: ConnectSim) -> Iterator[ConnectSim]:
    """Yield the sandbox of a test, and end the runners of its extensions."""
    try:
        yield sim
    finally:
        sim.stop_extensions()


def _worker(config: pytest.Config) -> str:
    return str(getattr(config, "workerinput", {}).get("workerid", "pytest"))


def _begin(server: Server, item: Any, seed: int | None, product: str) -> ConnectSim:
    """Reset the sandbox, and return it for a test."""
    # Without a cursor in older versions.
    since = server.client().post("/sandbox/reset").get("cursor", "")
    timeout = options.seconds(item.config, "timeout")
    sim = ConnectSim(server, seed=seed, product=product, timeout=timeout, since=since)
    # What an earlier run of the test has left, if another plugin repeats it.
    item.stash[_SENTENCE], item.stash[_FAILURES] = "", []
    item.stash[_SIM] = sim
    item.stash[_MARK] = reports.Mark(server, server.log_size())
    return sim


@pytest.fixture(scope="session")
def connect_sim_serve() -> Iterator[Callable[..., str]]:
    """A function that serves a WSGI application on a free port, and returns its URL."""
    serving = Serving()
    try:
        yield serving.start
    finally:
        serving.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test at its end if soft expectations have failed, or faults have never fired."""
    result = yield
    sim = item.stash.get(_SIM, None)
    if sim and (failures := sim.soft_failures()):
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        item.stash[_SENTENCE] = f"{failures[0].sentence}{more}"
        item.stash[_FAILURES] = [each.failure for each in failures]
        pytest.fail(reports.of_soft(failures), pytrace=False)
    if sim and (unused := sim.faults.never_fired()):
        text = faults.void(unused)
        item.stash[_SENTENCE] = text.partition("\n")[0]
        pytest.fail(text, pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach log and timeline to the report of a failed test, and write its trace."""
    report = yield
    sim, mark = item.stash.get(_SIM, None), item.stash.get(_MARK, None)
    # The fixture's own teardown comes after the reports of set-up and call.
    if sim is None or mark is None or call.when == "teardown":
        return report
    if report.failed:
        sentence = item.stash.get(_SENTENCE, "")
        if call.excinfo and isinstance(call.excinfo.value, ExpectationError):
            sentence = call.excinfo.value.sentence
        if sentence:
            reports.summarize(report, sentence)
        has_timeline = TIMELINE in report.longreprtext
        soft = sim.soft_failures()
        report.sections += reports.sections(sim, mark, soft, with_timeline=not has_timeline)
        item.stash[_FAILURES] = _failures(item, call) + [each.failure for each in soft]
    when = options.trace(item.config)
    is_wanted = when == "on" and call.when == "call" and report.passed
    if is_wanted or (when != "off" and report.failed):
        report.sections.append(("Connect Sim: trace", _write_trace(item, report, sim, mark)))
    return report


def _failures(item: pytest.Item, call: pytest.CallInfo[None]) -> list[Any]:
    """Return why a test failed, for its trace."""
    found = item.stash.get(_FAILURES, [])
    if found or not call.excinfo:
        return found
    error = call.excinfo.value
    if isinstance(error, ExpectationError):
        return [error.failure]
    text = item.stash.get(_SENTENCE, "") or call.excinfo.exconly().partition("\n")[0]
    return [reports.failure(text)]


def _write_trace(
    item: pytest.Item, report: pytest.TestReport, sim: ConnectSim, mark: reports.Mark
) -> str:
    """Write the trace of a test, and return what the report says of it."""
    about = {
        "name": item.nodeid,
        "result": "failed" if report.failed else "passed",
        "failures": item.stash.get(_FAILURES, []),
        "report": report.longreprtext,
    }
    path = options.trace_dir(item.config) / reports.file_name(item.nodeid)
    try:
        reports.write_trace(path, sim, mark, about)
    except (OSError, ApiError, Unreachable) as error:
        return f"The trace cannot be written: {error}"
    return f"connect-sim trace {shlex.quote(str(path))}"

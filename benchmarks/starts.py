"""What people wait for: starts, plugin, tasks, `POST /requests`; and the memory of a sandbox."""

import io
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

import pytest
import requests

from benchmarks.part import Part, time_call, tree_memory
from benchmarks.table import Row, in_turn, row
from portal import starters
from tests import orders, processes
from tests.extensions.runner import runner
from tests.processes import ROOT, Sandbox, free_port, pause

# What `POST /requests` is measured beside; the size of a list.
_BEFORE, _LIST = "537b1313", 350_000
_PROGRAM = (sys.executable, "-P", "-m", "connect_sim")
_TESTS = """
@pytest.mark.parametrize("number", range({count}))
def test_order(connect_sim, handler_url, number):
    product = connect_sim.product()
    webhook = connect_sim.webhook(product, handler_url, secret=SECRET)
    order = connect_sim.purchase(product, items={{"mailbox": number + 1}})
    connect_sim.expect(order).status("approved")
    connect_sim.expect(webhook).delivered(attempts_at_most=1)
"""


def starts(part: Part, rounds: int) -> Iterator[Row]:
    """Measure first starts, which create the database and the demo data."""
    # As users start it: bytecode is written once.
    env = processes.environment(part.folder, SIM_QUIET="true")
    env.pop("PYTHONDONTWRITEBYTECODE", None)

    def start() -> tuple[float, float]:
        folder = part.folder / f"{free_port()}"
        folder.mkdir()
        port, data = folder / "port", folder / "data"
        command = (*_PROGRAM, "sandbox", "--port", "0", "--port-file", str(port))
        began = time.monotonic()
        with part.round():
            started = part.run(folder.name, env, *command, "--data-dir", str(data))
            while not port.exists():
                assert started.popen.poll() is None, started.printed
                pause(0.005)
            ready = time.monotonic() - began
            requests.get(f"http://127.0.0.1:{port.read_text().strip()}/public/v1/products")
            return ready, time.monotonic() - began

    def execute() -> float:
        command = [*_PROGRAM, "exec", "--", "true"]
        run = partial(subprocess.run, command, env=env, cwd=part.folder, check=True)
        return time_call(run)[0]

    start()
    started, executed = in_turn(rounds, start, execute)
    # The fastest: other work on the machine only adds to it.
    ready, responds = map(min, zip(*started, strict=True))
    yield Row("from start to ready, s", [ready], floor=1.5)
    yield Row("from start to the first response, s", [responds])
    yield Row("connect-sim exec -- true, s", [min(executed)], floor=2.5)


def plugin(part: Part, count: int, rounds: int) -> Iterator[Row]:
    """Measure pytest with a new sandbox and the handler that `connect-sim init` writes."""
    tests = part.folder / "tests"
    shutil.copytree(starters.FOLDER / "python", tests)
    with (tests / "test_handler.py").open("a") as file:
        file.write(_TESTS.format(count=count))
    paths = f"{ROOT}:{ROOT / 'pytest-connect-sim' / 'src'}"
    env = processes.environment(part.folder, PYTHONPATH=paths)
    command = (sys.executable, "-m", "pytest", "-p", "pytest_connect_sim.plugin", "-q")
    options = ("-k", "test_order[", "--connect-sim-command", " ".join((*_PROGRAM, "sandbox")))

    def test() -> float:
        seconds, ended = time_call(
            lambda: processes.run([*command, *options], env, tests, timeout=600)
        )
        assert f"{count} passed" in ended.stdout, ended.stdout[-3000:]
        return seconds

    yield Row(f"{count} tests with the plugin, s", *in_turn(rounds, test), floor=15)


def memory(part: Part, count: int, rounds: int) -> Iterator[Row]:
    def read() -> tuple[float, float]:
        with part.round():
            sandbox, client = part.sandbox(f"{free_port()}"), part.process("clients", "")
            pid, path = sandbox.process.popen.pid, "/public/v1/requests?limit=1000"
            settle = partial(sandbox.call, "POST", "/sandbox/clock/run-until-idle", {})
            settle().raise_for_status()
            idle = tree_memory(pid)
            while len(sandbox.call("GET", path).content) < _LIST:
                orders.purchase(sandbox)
            sent = {"path": path, "key": sandbox.vendor_key, "count": count, "clients": 2}
            client.ask("get", url=sandbox.url, **sent)
            settle().raise_for_status()
            return idle, tree_memory(pid)

    idle, after = zip(*in_turn(rounds, read)[0], strict=True)
    yield Row("memory (PSS) of an idle sandbox, MiB", idle, floor=120)
    figure = f"memory (PSS) after {count:,} reads of a list of 350 KB, MiB"
    yield Row(figure, after, floor=160)


def tasks(part: Part, count: int, rounds: int) -> Iterator[Row]:
    """Measure waiting tasks of an extension, from the connection of its runner to all results."""
    sandbox = part.sandbox()
    body = {"name": "Benchmark", "products": [orders.PLAIN]}
    added = sandbox.call("POST", "/sandbox/extensions", body).json()
    path = f"/devops/services/{added['id']}/environments/{added['environment']}/tasks"
    connect = partial(runner, sandbox.url, sandbox.vendor_key, added["environment"])
    with connect() as connection:
        # From now on, its subscription is known.
        connection.set_up()
    order, pid = orders.order(sandbox), sandbox.process.popen.pid

    def done() -> int:
        response = sandbox.call("GET", f"/public/v1{path}?eq(status,succeeded)&limit=0")
        return int(response.headers["Content-Range"].rpartition("/")[2])

    def answer() -> tuple[float, float]:
        for _ in range(count):
            sandbox.as_distributor("POST", "/requests", order)
        expected, began = done() + count, time.monotonic()
        with connect() as connection:
            connection.set_up()
            for _ in range(count):
                connection.answer(connection.receive())
            while done() < expected:
                pause(0.01)
            return count / (time.monotonic() - began), tree_memory(pid)

    rate, memory = zip(*in_turn(rounds, answer)[0], strict=True)
    yield Row("tasks per second of one runner", rate, floor=60, at_least=True)
    yield Row("memory (PSS) of the sandbox afterwards, MiB", memory, floor=160)


def creations(part: Part, count: int, rounds: int) -> Iterator[Row]:
    """Measure `POST /requests` beside an earlier commit with the same packages."""
    before, now = part.sandbox("before", _tree(_BEFORE, part.folder / "tree")), part.sandbox()

    def create(sandbox: Sandbox) -> float:
        body = orders.order(sandbox)
        post = partial(sandbox.as_distributor, "POST", "/requests", body)
        return median(time_call(post)[0] for _ in range(count))

    old, new = in_turn(rounds, partial(create, before), partial(create, now))
    figure = "p50 of POST /requests, ms"
    yield row(figure, new[1:], old[1:], f"at {_BEFORE}", 0.6, scale=1e3)


def _tree(commit: str, folder: Path) -> Path:
    """Return the folder with the files of a commit; skip without Git or the commit."""
    command = ["git", "archive", "--format=tar", commit]
    try:
        archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"Git has no commit {commit} here: a shallow clone, or no repository")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder

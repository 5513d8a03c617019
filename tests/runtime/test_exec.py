"""`connect-sim exec`: real processes, which are killed at each stage; nothing is left of them."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from tests.engines import until
from tests.marks import nightly
from tests.processes import ROOT, environment, listens, restore_hangup

EXEC = [sys.executable, "-P", "-m", "connect_sim", "exec"]
# What shows that a start has come so far.
STAGES = {
    "folder": "connect-sim-*",
    "log": "connect-sim-*/log",
    "sandbox": "connect-sim-*/data/sandbox.lock",
}
# Prints its process id, the sandbox's port and each signal; SIGUSR1 ends it with their number.
COUNTING = """
import os, signal, subprocess
numbers = []
def count(number, frame):
    numbers.append(number)
    print(number, flush=True)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, count)
signal.signal(signal.SIGUSR1, lambda number, frame: os._exit(len(numbers)))
subprocess.Popen(["sleep", "600"], start_new_session=True)
print(os.getpid(), os.environ["CONNECT_SIM_URL"].rpartition(":")[2], flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The folder for temporary files, by whose name the processes of a test are found."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def nothing_is_left(temporary: Path) -> Iterator[None]:
    """No process; and no file but what a test expects, and removes."""
    yield
    until(lambda: not processes_of(temporary), "the end of all processes", timeout=30)
    until(lambda: not list(temporary.iterdir()), "the end of all files", timeout=30)


def processes_of(temporary: Path) -> dict[int, str]:
    """Return the command lines of the processes that have this folder for temporary files."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        # One may end meanwhile.
        with suppress(OSError):
            if f"TMPDIR={temporary}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_text()
    return found


def start(
    temporary: Path, *arguments: str, ignored: str = "", **variables: str
) -> subprocess.Popen[str]:
    """Start exec, which ignores the signal of this name, as after nohup."""
    ignoring = ["sh", "-c", f"trap '' {ignored}; exec \"$@\"", "sh"] if ignored else []
    return subprocess.Popen(
        [*ignoring, *EXEC, *arguments],
        cwd=temporary.parent,
        env=environment(temporary / "unused", TMPDIR=str(temporary), **variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore_hangup,
    )


def run(temporary: Path, *arguments: str, sent: str = "", **variables: str) -> tuple[int, str, str]:
    """Return exit code, output and errors."""
    with start(temporary, *arguments, **variables) as process:
        out, errors = process.communicate(sent, timeout=120)
    return process.returncode, out, errors


def python(script: str) -> list[str]:
    return ["--", sys.executable, "-c", script]


@contextmanager
def counting(temporary: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """Run the program without demo data; yield the process of exec, its own id, and the port."""
    with start(temporary, "--no-seed", *options, *python(COUNTING)) as process:
        try:
            assert process.stdout is not None
            pid, port = process.stdout.readline().split()
            yield process, int(pid), int(port)
        finally:
            process.kill()


# What the program gets


USING = """
import json, os, sys
from urllib.request import Request, urlopen
url, webhook = os.environ["CONNECT_SIM_URL"], os.environ["WEBHOOK_ID"]
headers = {"Authorization": os.environ["CONNECT_API_KEY"], "Content-Type": "application/json"}
def call(path, body=None):
    data = json.dumps(body).encode() if body else None
    return json.load(urlopen(Request(url + path, data, headers)))
call("/sandbox/queue/samples", {"queue": "fulfillment", "product": os.environ["PRODUCT_ID"]})
call("/sandbox/wait", {"until": {"failed": {"webhook": webhook}}, "timeout": 30})
row = call("/public/v1/notifications/webhooks/" + webhook)
assert row["jwt_secret"] == os.environ["JWT_SECRET"]
assert row["external_url"] == "http://127.0.0.1:" + os.environ["PORT"] + "/"
assert os.environ["CONNECT_API_URL"] == url + "/public/v1"
print(sys.stdin.read(), sorted(n for n in os.environ if n.startswith(("SIM_", "CONNECT_SIM_"))))
print("an error", file=sys.stderr)
"""


def test_program_has_addresses_keys_a_product_and_its_own_streams(temporary: Path) -> None:
    code, out, errors = run(temporary, *python(USING), sent="typed", SIM_PROFILE="server")
    assert (code, errors) == (0, "an error\n")
    names = ["CONNECT_SIM_HANDLER", "CONNECT_SIM_PROVIDER_KEY", "CONNECT_SIM_URL"]
    assert out == f"typed {[*names, 'CONNECT_SIM_VENDOR_KEY', 'SIM_DATA_DIR']}\n"


def test_without_demo_data_there_are_no_keys(temporary: Path) -> None:
    """And no folder is kept, since nothing has failed."""
    script = "import os; print(*(n for n in ('CONNECT_API_KEY', 'PRODUCT_ID', 'JWT_SECRET', 'PORT',"
    script += " 'CONNECT_SIM_VENDOR_KEY', 'CONNECT_API_URL') if n in os.environ))"
    options = ["--no-seed", "--keep", "kept"]
    ended = run(temporary, *options, *python(script), PRODUCT_ID="of another")
    assert ended == (0, "PORT CONNECT_API_URL\n", "")
    assert not (temporary.parent / "kept").exists()


def test_product_is_that_of_a_file(temporary: Path) -> None:
    """Of JSON, and of the workbook that the sandbox has made of it."""
    (temporary.parent / "product.json").write_text('{"name": "Mine", "items": [{"mpn": "seat"}]}')
    program = f"PYTHONPATH={ROOT} {sys.executable} -P -m connect_sim"
    script = f"{program} product export $PRODUCT_ID -o product.xlsx; {program} product list"
    code, out, errors = run(temporary, "--product", "product.json", "--", "sh", "-ec", script)
    assert code == 0, errors
    [exported] = re.findall(r"^(PRD-\S+) .* Mine$", out, re.M)
    code, out, errors = run(temporary, "--product", "product.xlsx", "--", "printenv", "PRODUCT_ID")
    assert (code, out) == (0, f"{exported}\n"), errors


def test_data_are_those_of_a_snapshot(temporary: Path) -> None:
    program = f"PYTHONPATH={ROOT} {sys.executable} -P -m connect_sim"
    save = f"{program} snapshot save mine; {program} snapshot export mine mine.jsonl.gz"
    code, _, errors = run(temporary, "--", "sh", "-ec", f"{save}; echo $PRODUCT_ID >product")
    assert code == 0, errors
    product = (temporary.parent / "product").read_text().strip()
    script = f"{program} product list; {program} snapshot diff start"
    code, out, errors = run(temporary, "--snapshot", "mine.jsonl.gz", "--", "sh", "-ec", script)
    assert code == 0 and product in out, errors
    # Since then, the product of this run was made.
    assert "- Product" not in out and re.search(r"^\+ .*PRD-", out, re.M), out


@pytest.mark.nightly(reason="the plugin is tested with such variables elsewhere")
def test_plugin_of_pytest_uses_the_sandbox(temporary: Path) -> None:
    (temporary.parent / "test_it.py").write_text(
        "import os\n\n\ndef test_url(connect_sim):\n"
        "    assert connect_sim.url == os.environ['CONNECT_SIM_URL']\n"
    )
    plugin = ["-p", "pytest_connect_sim.plugin", "-p", "no:cacheprovider", "test_it.py"]
    command = ["env", f"PYTHONPATH={ROOT}/pytest-connect-sim/src", sys.executable, "-m", "pytest"]
    code, out, _ = run(temporary, "--", *command, *plugin, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert code == 0 and "1 passed" in out, out


# Failures


def named_log(temporary: Path, errors: str) -> str:
    """Return the content of the only file that is left, which the last line names; remove it."""
    [path] = temporary.iterdir()
    assert errors.endswith(f" The sandbox's output is in {path}.\n"), errors
    text = path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    path.unlink()
    return text


def test_failure_names_the_output_of_the_sandbox(temporary: Path) -> None:
    code, out, errors = run(temporary, "--", "sh", "-c", "echo $CONNECT_SIM_VENDOR_KEY; exit 3")
    assert code == 3 and errors.startswith("sh ended with exit code 3. ")
    log = named_log(temporary, errors)
    assert "Connect Sim is running at" in log and out.strip() not in log and "SU-" not in log


def test_output_that_cannot_be_read_leaves_no_file(temporary: Path) -> None:
    script = "rm $SIM_DATA_DIR/../log; exit 3"
    code, _, errors = run(temporary, "--no-seed", "--", "sh", "-c", script)
    assert code == 3 and "cannot be kept: " in errors and not list(temporary.iterdir())


def test_data_of_a_failed_run_are_kept(temporary: Path) -> None:
    options = ["--no-seed", "--keep", "kept"]
    code, _, errors = run(temporary, *options, "--", "sh", "-c", "kill -9 $$")
    assert code == 128 + signal.SIGKILL
    where = "The sandbox's data and its output, sandbox.log, are in kept."
    assert errors == f"sh ended with exit code 137. {where}\n"
    kept = temporary.parent / "kept"
    assert "Connect Sim is running at" in (kept / "sandbox.log").read_text()
    assert kept.stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(kept / "connect.sqlite3")) as database:
        assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM django_migrations").fetchone()[0]


def test_sandbox_that_does_not_start_names_its_output(
    temporary: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    modules = tmp_path_factory.mktemp("modules")
    (modules / "django.py").write_text("raise ImportError('of the project')")
    with start(temporary, "--", "true", PYTHONPATH=f"{ROOT}:{modules}") as process:
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (125, "")
    assert errors.startswith("Error: The sandbox ended while it started. ")
    assert "of the project" in named_log(temporary, errors)


@pytest.mark.parametrize(
    ("command", "code"), [(["sh", "-c", "exit 3"], 3), (["no-such-program"], 127)]
)
def test_exit_code_is_the_same_if_nobody_reads_the_errors(
    temporary: Path, command: list[str], code: int
) -> None:
    with start(temporary, "--no-seed", "--", *command) as process:
        assert process.stderr is not None
        process.stderr.close()
        assert process.wait(120) == code
    for log in temporary.glob("*.log"):
        log.unlink()


@pytest.mark.parametrize("code", [0, nightly(7, reason="the same, with another exit code")])
def test_sandbox_that_ends_before_the_program_is_a_failure(temporary: Path, code: int) -> None:
    script = "import os, re, sys, time, signal, urllib.request\n"
    script += "lock = open(os.environ['SIM_DATA_DIR'] + '/sandbox.lock').read()\n"
    script += "os.kill(int(re.search(r'process (\\d+)', lock)[1]), signal.SIGKILL)\n"
    script += "url = os.environ['CONNECT_SIM_URL']\n"
    script += "while True:\n try: urllib.request.urlopen(url + '/healthz', timeout=1)\n"
    script += f" except OSError: sys.exit({code})\n"
    ended, _, errors = run(temporary, "--no-seed", *python(script))
    assert ended == 125
    assert errors.startswith(f"Error: The sandbox ended before {sys.executable}. ")
    named_log(temporary, errors)


def test_refused_product_is_one_line(temporary: Path) -> None:
    (temporary.parent / "product.json").write_text('{"items": [{}]}')
    code, out, errors = run(temporary, "--product", "product.json", "--", "echo", "run")
    assert (code, out) == (125, "") and errors.startswith("Error: POST /sandbox/products: 400 ")
    named_log(temporary, errors)


# Signals


def test_signals_are_passed_on_and_the_exit_code_is_that_of_the_program(temporary: Path) -> None:
    with counting(temporary) as (process, pid, port):
        assert listens(port)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
            assert process.stdout is not None
            assert process.stdout.readline() == f"{number.value}\n"
        os.kill(pid, signal.SIGUSR1)
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (3, "") and named_log(temporary, errors)
    assert not listens(port) and not processes_of(temporary)


def test_ignored_signal_is_not_passed_on(temporary: Path) -> None:
    with start(temporary, "--no-seed", *python(COUNTING), ignored="HUP") as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().split()[0])
        for number in (signal.SIGHUP, signal.SIGTERM):
            process.send_signal(number)
        assert process.stdout.readline() == f"{signal.SIGTERM.value}\n"
        os.kill(pid, signal.SIGUSR1)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1 and named_log(temporary, errors)


def test_signal_that_ends_the_program_is_in_the_exit_code(temporary: Path) -> None:
    with start(temporary, "--no-seed", "--", "sh", "-c", "echo run; exec sleep 600") as process:
        assert process.stdout is not None and process.stdout.readline() == "run\n"
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (128 + signal.SIGTERM, "")
    assert named_log(temporary, errors) and not processes_of(temporary)


@pytest.mark.parametrize(
    ("stage", "number"),
    [("folder", signal.SIGINT), ("folder", signal.SIGHUP), ("sandbox", signal.SIGTERM)],
)
def test_signal_before_the_program_runs_ends_the_sandbox(
    temporary: Path, stage: str, number: signal.Signals
) -> None:
    with start(temporary, "--", "echo", "run") as process:
        until(lambda: list(temporary.glob(STAGES[stage])), "this stage", timeout=60)
        process.send_signal(number)
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (128 + number, "")
    assert errors == "Interrupted: ending what was started.\n" and not processes_of(temporary)


@pytest.mark.parametrize("stage", STAGES)
def test_wrapper_that_is_killed_before_the_program_runs_leaves_nothing(
    temporary: Path, stage: str
) -> None:
    """The fixture waits for that."""
    with start(temporary, *python(COUNTING)) as process:
        until(lambda: list(temporary.glob(STAGES[stage])), "this stage", timeout=60)
        process.kill()


def test_wrapper_that_is_killed_beside_the_program_leaves_nothing(temporary: Path) -> None:
    with counting(temporary) as (process, _, port):
        process.kill()
    until(lambda: not listens(port), "the end of the sandbox", timeout=30)


def test_wrapper_and_watching_process_killed_at_once_leave_no_process(temporary: Path) -> None:
    """The sandbox notices the end of its parent; its folder stays, which nobody can delete."""
    with start(temporary, "--no-seed", *python("input()")) as process:
        until(lambda: list(temporary.glob("*/port")), "the sandbox", timeout=60)
        [guard] = [pid for pid, line in processes_of(temporary).items() if "guard.py" in line]
        os.kill(guard, signal.SIGKILL)
        process.kill()
    until(lambda: not processes_of(temporary), "the end of the sandbox", timeout=30)
    subprocess.run(["rm", "-r", *temporary.iterdir()], check=True)


@pytest.mark.parametrize("group", ["", "os.setpgid(0, 0); "], ids=["ours", "its own"])
def test_terminal_is_that_of_the_program(temporary: Path, group: str) -> None:
    """Its keys reach the program once, and a signal for exec is passed on."""
    ours, theirs = os.openpty()
    script = f"import os; {group}print([os.isatty(number) for number in range(3)], flush=True)\n"
    script += COUNTING
    take = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    process = subprocess.Popen(
        [sys.executable, "-c", f"{take}os.execv(sys.argv[1], sys.argv[1:])", *EXEC, "--no-seed",
         *python(script)],
        env=environment(temporary / "unused", TMPDIR=str(temporary)),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    with os.fdopen(ours, "r+b", buffering=0) as terminal, process:
        try:
            assert line(terminal) == "[True, True, True]"
            pid = int(line(terminal).split()[0])
            terminal.write(b"\x03")
            assert line(terminal) == "^C2"
            process.send_signal(signal.SIGTERM)
            assert line(terminal) == "15"
            os.kill(pid, signal.SIGUSR1)
            errors = line(terminal)
            assert process.wait(30) == 2 and named_log(temporary, f"{errors}\n")
        finally:
            process.kill()


def line(terminal: IO[bytes]) -> str:
    text = b""
    while not text.endswith(b"\n"):
        text += terminal.read(1)
    return text.decode().strip()

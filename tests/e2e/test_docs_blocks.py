"""Each block of commands in README.md and docs: run as printed, or listed with the reason.

The blocks of a page run in their order in one shell. The sandbox of the page runs already; it and
the handler that the page starts have other ports than the printed ones.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests import doc_blocks, workflows
from tests.doc_blocks import Block
from tests.engines import until
from tests.handlers import handler
from tests.orders import PLAIN, SECRET
from tests.processes import ROOT, Process, Sandbox, free_port, restart, sandbox
from tests.shared_sandbox import reset

MAKE = "make installs packages"
DOCKER = "needs a Docker engine"
# By page: the name or the first words of a block, and why only its syntax is tested.
LEFT_OUT = {
    "README.md": {
        "targets": MAKE,
        "$ make run": f"{MAKE}; what it prints is compared",
        "pytest": "installs packages: tests/packaging/test_install_page.py",
        "uvx": "installs packages: tests/packaging/test_install_page.py",
        "docker": DOCKER,
    },
    "docs/benchmarks.md": {
        "make bench": MAKE,
        ".venv/bin/python -m benchmarks report": "needs the results of a run of an hour",
    },
    "docs/checks.md": {
        "prove": "all checks of two handlers, in a repository: tests/checks/test_prove.py",
    },
    "docs/cli.md": {
        "connect-sim sandbox --port 0": "for a program: tests/runtime/test_start_options.py",
        "./connect-sim exec": "runs tests of a project: tests/runtime/test_exec.py",
        "./connect-sim doctor": "fails without the handler: tests/runtime/test_doctor.py",
        'eval "$(_CONNECT_SIM': "for files of three shells: tests/unit/connect_sim/test_options.py",
    },
    "docs/clients/connect-cli.md": {
        "ccli account add": "needs connect-cli: tests/e2e/test_connect_cli.py",
    },
    "docs/coverage.md": dict.fromkeys(
        ("options", "merge"), "needs tests: tests/plugin/test_coverage.py"
    ),
    "docs/extensions.md": {
        "install": "installs packages: tests/e2e/test_extension_example.py",
        "check": "needs the runner: tests/checks/test_extensions.py",
    },
    "docs/mcp.md": {".venv/bin/pip": "installs packages: tests/packaging/test_installed.py"},
    "docs/metrics.md": {
        "SIM_METRICS_PORT=9464 make": MAKE,
        "SIM_METRICS_PORT=9464 python": "processes of a server, which need Redis",
        "cd monitoring": "needs promtool: tests/metrics/test_monitoring_files.py",
    },
    "docs/readings.md": {
        "readings": "checks of a handler in each reading: tests/checks/test_readings.py",
    },
    "docs/reliability.md": {"make chaos": MAKE},
    "docs/sandbox-reset.md": {
        "./connect-sim snapshot save two": "tests/sandbox/snapshot_files/test_command.py",
    },
    "docs/scaling.md": {"docker compose up": DOCKER},
    "docs/server.md": {"docker compose up": DOCKER, "docker compose exec": DOCKER},
    "docs/test-with-pytest.md": {
        "install": "installs packages: tests/packaging/test_install_page.py",
    },
    "docs/testing.md": {"test": MAKE, "postgres": MAKE, "hypothesis": MAKE},
    "docs/traces.md": {
        "connect-sim trace": "needs a failed test: tests/unit/connect_sim/test_trace_command.py",
    },
}
METER = "PRD-590-284-731"
METRICS = "docs/metrics.md"
METRICS_KEY = "a-key-of-at-least-32-characters-for-metrics"
# On a port of the test; with more time, since the machine may be busy.
CONNECT_SIM = f"""#!/bin/sh
case "$1 $2" in
listen*) shift; set -- listen --port "$HANDLER_PORT" "$@" ;;
wait*) set -- "$@" --timeout 60 ;;
"clock advance") set -- "$@" --patience 60 ;;
esac
PYTHONPATH={ROOT} exec {sys.executable} -P -m connect_sim "$@"
"""
PYTHON = f"""#!/bin/sh
exec {sys.executable} "$@"
"""
# A line that runs until Ctrl-C: a handler, or the sandbox, which runs already.
ENDLESS = re.compile(r"^((?:\./)?connect-sim(?: listen\b.*)?(?: +#.*)?\n)", re.MULTILINE)
COMMAND = re.compile(r"^\$ (.*\n)((?:(?!\$ ).*\n)*)", re.MULTILINE)
# What differs in the output that a page shows: further lines, a text, a secret, numbers.
DIFFERENT = re.compile(
    r"(?P<lines>^ *…\n)|(?P<text>[-\w]*…)|(?P<secret>JWT-[-0-9a-f]{36})|(?P<number> *\d[\d,]*)",
    re.MULTILINE,
)
PATTERNS = {
    "lines": r"(?:.*\n)*",
    "text": r"\S.*",
    "secret": r"JWT-[-0-9a-f]{36}",
    "number": r" *\d[\d,]*",
}
END = "--- the end of what was typed ---\n"


class Terminal:
    """A shell in a folder like a checkout, with the running sandbox in `var`.

    `texts` has what is typed instead of a text of the page, `handlers` are those that listen.
    """

    def __init__(self, page: str, running: Sandbox, folder: Path, stack: ExitStack) -> None:
        self.running, self.printed = running, ""
        self.handlers: list[Process] = []
        self._folder, self._stack, self._log = folder, stack, folder / "terminal.log"
        self._blocks = [block for block in commands(page) if not reasons(block)]
        port = free_port()
        self.texts = {
            "127.0.0.1:8000": running.url.removeprefix("http://"),
            "127.0.0.1:9000": f"127.0.0.1:{port}",
        }
        programs = {"connect-sim": CONNECT_SIM, "python": PYTHON}
        path = workflows.write_programs(folder / "programs", programs)
        (folder / "connect-sim").symlink_to(path / "connect-sim")
        self._env = {
            "PATH": f"{path}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "HANDLER_PORT": str(port),
        }
        with self._log.open("wb") as out:
            self._shell = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail"],
                cwd=folder,
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                text=True,
            )
        stack.enter_context(self._shell)

    def run(self, before: str = "") -> str:
        """Run the page's blocks, until one that begins with a text; return what they print."""
        begin = len(self.printed)
        while self._blocks and not (before and self._blocks[0].begins(before)):
            self._run_block(self._blocks.pop(0))
        assert self._blocks or not before, f"no block begins with {before}"
        return self.printed[begin:]

    def type(self, text: str) -> str:
        """Run commands, which must succeed; return what they print."""
        for printed, typed in self.texts.items():
            text = text.replace(printed, typed)
        script = self._folder / "typed.sh"
        script.write_text(text)
        begin = self._log.stat().st_size
        assert self._shell.stdin is not None
        print(f". {script} </dev/null; echo '{END.strip()}'", file=self._shell.stdin, flush=True)

        def has_ended() -> bool:
            return self._shell.poll() is not None or output().endswith(END)

        def output() -> str:
            return self._log.read_bytes()[begin:].decode()

        until(has_ended, text, timeout=120)
        assert output().endswith(END), f"{text}\n{output()}"
        self.printed += output().removesuffix(END)
        return output().removesuffix(END)

    def listen(self, line: str = "connect-sim listen --approve") -> Process:
        """Run a handler in a terminal of its own, until the end of the page."""
        command = ["bash", "-c", f"exec {line}"]
        process = Process(command, self._env, self._folder / "listen.log", self._folder)
        self._stack.callback(process.stop)
        process.start_until("endpoint URL.\n")
        self.handlers.append(process)
        return process

    def _run_block(self, block: Block) -> None:
        if block.language == "sh":
            for lines in filter(None, ENDLESS.split(block.text)):
                self._run_lines(lines)
            return
        for line, shown in COMMAND.findall(block.text):
            printed = self._run_lines(line)
            assert not shown or shape(shown).fullmatch(printed), f"{block.text}\n{printed}"

    def _run_lines(self, lines: str) -> str:
        if not ENDLESS.fullmatch(lines):
            return self.type(lines)
        return self.listen(lines).printed if " listen" in lines else ""


def commands(page: str) -> list[Block]:
    """Return the blocks of a page that a user types."""
    return [block for block in doc_blocks.blocks(page) if block.language in doc_blocks.SHELL]


def reasons(block: Block) -> list[str]:
    """Return why a block is left out; nothing if it is run."""
    return [why for key, why in LEFT_OUT.get(block.page, {}).items() if block.begins(key)]


def shape(shown: str) -> re.Pattern[str]:
    """Return the pattern of an output."""
    pattern, end = "", 0
    for match in DIFFERENT.finditer(shown):
        pattern += re.escape(shown[end : match.start()]) + PATTERNS[str(match.lastgroup)]
        end = match.end()
    return re.compile(pattern + re.escape(shown[end:]))


# --- what pages need besides their commands, and what their texts say of the output -------------


def readme(terminal: Terminal) -> None:
    start, *_ = (block.text for block in commands("README.md") if block.begins("$ make run"))
    terminal.running.process.wait_to_print("Press Ctrl-C")
    assert shape(start.removeprefix("$ make run\n")).search(terminal.running.process.printed)
    order = terminal.run().split()[-2]
    terminal.type("./connect-sim wait idle")
    assert f"approved {order}" in terminal.handlers[0].printed


def cli(terminal: Terminal) -> None:
    webhook, _ = terminal.run(before="eval").splitlines()[-1].split()
    terminal.texts["WH-338-310-411"] = webhook
    assert terminal.run(before="$ ./connect-sim clock").startswith('[{"id":"PR-')
    statuses = iter((500, 500))
    with handler(lambda request: next(statuses, 200)) as served:
        failing = terminal.type(f"connect-sim webhook create {served.url} {METER}").split()[0]
        terminal.type(f"connect-sim queue add fulfillment --product {METER}")
        terminal.type(f"connect-sim wait failed {failing}")
        terminal.run(before="./connect-sim fault")
    terminal.run(before="./connect-sim wait")
    # Its first request succeeds, and each later one fails: first that about the oldest order which
    # the handler finds pending.
    terminal.type("connect-sim fault clear")
    terminal.type(f"connect-sim fault add abort --webhook {webhook} --after 1 status=500")
    terminal.type("connect-sim queue move PR-5810-2277-4118-002 approve")


def faults(terminal: Terminal) -> None:
    terminal.listen()
    terminal.type(f"connect-sim webhook create http://127.0.0.1:9000/ {PLAIN}")
    printed = terminal.run(before="http")
    assert re.search(r"^Cleared abort-\d+: fired 1 of \d+\.$", printed, re.MULTILINE), printed
    first, *others = re.findall(r"api_call .*POST \S+/(PR-[\d-]+)/approve (\d+)", printed)
    assert first[1] == "500" and {status for _, status in others} == {"200"}
    assert first[0] in {request for request, _ in others}
    assert len(re.findall(r'"path": ?"/requests/\*/approve"', terminal.run())) == 3


def inquiring_form(terminal: Terminal) -> None:
    *_, link = terminal.run().split()
    assert "This mailbox bounces." in requests.get(link, timeout=30).text


def mcp(terminal: Terminal) -> None:
    terminal.run()
    shown = terminal.type(
        'cat .mcp.json .*/*.json .codex/config.toml && test -n "$CONNECT_API_KEY"'
    )
    assert shown.count(f"{terminal.running.url}/sandbox/mcp") == 5


def metrics(terminal: Terminal) -> None:
    port = terminal.running.process.env["SIM_METRICS_PORT"]
    terminal.texts["127.0.0.1:9464"] = f"127.0.0.1:{port}"
    terminal.type(f"export SIM_METRICS_KEY={METRICS_KEY}")
    assert "connect_sim_claims_total" in terminal.run(before="curl -H")
    assert "connect_sim_webhooks" in terminal.run()


def retention(terminal: Terminal) -> None:
    """With deliveries that are old enough, and a sandbox that is stopped for VACUUM."""
    with handler() as served:
        terminal.type(f"connect-sim webhook create {served.url} {PLAIN}")
        order = f"connect-sim queue add fulfillment --product {PLAIN}"
        terminal.type(f"{order}\n{order}\n{order}")
        terminal.type("connect-sim wait idle\nconnect-sim clock advance 31d")
    terminal.run(before="python")
    terminal.running.process.kill()


def coverage(terminal: Terminal) -> None:
    terminal.type(f"connect-sim webhook create http://127.0.0.1:9/ {PLAIN}")
    printed = terminal.run()
    assert re.search(r"^All +\d+ of [1-9]", printed, re.MULTILINE), printed
    # Of features that other pages have used, the platform's own changes have a sentence each.
    sentences = re.findall(r"^# [a-z_]+\.[\w.]+: ", printed, re.MULTILINE)
    assert printed.count("def test_") + len(sentences) == 5 > len(sentences), printed


def extensions(terminal: Terminal) -> None:
    printed = terminal.run()
    # Nobody has started a runner, which says what it wants tasks for.
    assert "ENVIRONMENT_ID=ENV-" in printed and printed.endswith("No tasks.\n"), printed


def readings(terminal: Terminal) -> None:
    terminal.run()
    # The last command goes back.
    assert "jwt_header=both " in terminal.type("connect-sim reading")


def without_sleeping(terminal: Terminal) -> None:
    terminal.listen()
    assert terminal.run() == "delivered\n"


def troubleshooting(terminal: Terminal) -> None:
    terminal.type(f"connect-sim webhook create http://127.0.0.1:9/ {PLAIN}")
    terminal.type(f"connect-sim queue add fulfillment --product {PLAIN}")
    assert "refused the connection" in terminal.run(before="reset")
    assert re.fullmatch(r"Reset in \d+ ms\. Platform time: .* UTC\.\n", terminal.run("snapshot"))
    assert re.match(r"Saved my-webhooks\.\nRestored my-webhooks in ", terminal.run())


def validators(terminal: Terminal) -> None:
    first, second = terminal.run().split("draft\n")[1:]
    assert "Only advanced" in first and "Not offered" not in first
    assert "Only advanced" in second and "Not offered" in second


# By page: what it needs before its last blocks are run.
PAGES: dict[str, Callable[[Terminal], None]] = {
    "README.md": readme,
    "docs/cli.md": cli,
    "docs/coverage.md": coverage,
    "docs/extensions.md": extensions,
    "docs/faults.md": faults,
    "docs/inquiring-form.md": inquiring_form,
    "docs/mcp.md": mcp,
    METRICS: metrics,
    "docs/readings.md": readings,
    "docs/retention.md": retention,
    "docs/test-without-sleeping.md": without_sleeping,
    "docs/troubleshooting.md": troubleshooting,
    "docs/validators.md": validators,
}


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_the_page_run_as_printed(page: str, running: Sandbox, tmp_path: Path) -> None:
    var = tmp_path / "var"
    with ExitStack() as stack:
        if page == METRICS:
            port = str(free_port())
            settings = sandbox(var, SIM_METRICS_PORT=port, SIM_METRICS_KEY=METRICS_KEY)
            running = stack.enter_context(settings)
        else:
            if running.process.popen.poll() is not None:
                restart(running)
            reset(running)
            var.symlink_to(running.data_dir)
        terminal = Terminal(page, running, tmp_path, stack)
        PAGES[page](terminal)
        terminal.run()


def test_each_block_is_run_or_left_out() -> None:
    blocks = [block for page in doc_blocks.pages() for block in commands(page)]
    for block in blocks:
        if block.page not in PAGES and not reasons(block):
            assert block.page in doc_blocks.RUN_BY, f"{block.page}: run this:\n{block.text}"
            source = (ROOT / doc_blocks.RUN_BY[block.page]).read_text()
            assert re.search(r'doc_blocks\.(read_all\(|read\("sh")', source), block.page
    for page, keys in LEFT_OUT.items():
        for key, reason in keys.items():
            print(f"left out: {page}: {key}: {reason}")
            [_] = [block for block in blocks if block.page == page and block.begins(key)]


def test_other_output_than_the_shown_one_is_found() -> None:
    shown = f"WH-310-447-962 {SECRET}\n12,408 attempts\n  …\nend: ab-12…\n"
    printed = f"WH-1-2-3 {SECRET.replace('5b', '00')}\n   8 attempts\nmore\n\nend: 9\n"
    assert shape(shown).fullmatch(printed)
    for old, new in (("WH", "PR"), ("8", "no"), ("end: 9", "end: "), ("JWT-0", "JWT-")):
        assert not shape(shown).fullmatch(printed.replace(old, new))

"""Runs `ccli` command after command, and answers the wizard of its reports by typing.

Each command is a process of its own, forked from one that has imported everything: ccli takes
seconds to start. What it prints, screen and errors together, is handed over as text.
"""

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path

from connect.cli import ccli
from connect.cli.core.plugins import load_plugins
from prompt_toolkit.application import create_app_session, get_app
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

ENTER, TAB, DOWN, SPACE = "\r", "\t", "\x1b[B", " "


def typed(answers):
    """Return what a user types at each step: the introduction, the answers, the summary."""
    yield ENTER
    for answer in answers:
        match answer:
            case {"from": first, "to": last}:
                keys = f"{first}{TAB}{last}"
            case {"choose": flags}:
                # Past the buttons All and None, and down the list.
                keys = TAB + TAB + DOWN.join(SPACE * chosen for chosen in flags)
            case "all":
                keys = f"{ENTER}{TAB}{TAB}"
            case text:
                keys = text
        yield f"{keys}{TAB}{ENTER}"
    yield ENTER


class Typist(DummyOutput):
    """A terminal whose user answers a step as soon as it is on the screen."""

    def __init__(self, pipe, answers):
        self.pipe, self.steps, self.drawn = pipe, typed(answers), 0

    def flush(self):
        app = get_app()
        if app.render_counter <= self.drawn or app.is_done:
            return
        self.drawn = app.render_counter
        keys = next(self.steps, None)
        if keys is None:
            # The answers didn't fit: ccli says that it was aborted.
            app.exit(result=False)
        else:
            self.pipe.send_text(keys)


def run(arguments, answers):
    sys.argv = ["ccli", *arguments]
    with create_pipe_input() as pipe, create_app_session(pipe, Typist(pipe, answers)):
        ccli.main()


def printed(arguments, answers=()):
    """Return what one command prints."""
    with tempfile.TemporaryFile() as out:
        child = os.fork()
        if not child:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            try:
                run(arguments, answers)
            except Exception:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(0)
        os.waitpid(child, 0)
        out.seek(0)
        return out.read().decode()


load_plugins(ccli.cli)
jobs = json.loads(Path(os.environ["JOBS"]).read_text())
printed_by_job = {name: printed(**job) for name, job in jobs.items()}
json.dump(printed_by_job, sys.stdout)

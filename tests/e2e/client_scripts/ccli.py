"""Runs `ccli` command after command, and answers the wizard of its reports by typing.

Each command is a process of its own, forked from one that has imported everything: ccli takes
seconds to start. Its output, screen and errors together, is the result.
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


def typed(inputs):
    """Return the keys that a user types at each step: introduction, inputs, summary."""
    yield ENTER
    for step in inputs:
        match step:
            case {"from": first, "to": last}:
                keys = f"{first}{TAB}{last}"
            case {"choose": flags}:
                # Skip the buttons All and None, and move down the list.
                keys = TAB + TAB + DOWN.join(SPACE * chosen for chosen in flags)
            case "all":
                keys = f"{ENTER}{TAB}{TAB}"
            case text:
                keys = text
        yield f"{keys}{TAB}{ENTER}"
    yield ENTER


class Typist(DummyOutput):
    """A terminal whose user responds to a step as soon as it is shown."""

    def __init__(self, pipe, inputs):
        self.pipe, self.steps, self.drawn = pipe, typed(inputs), 0

    def flush(self):
        app = get_app()
        if app.render_counter <= self.drawn or app.is_done:
            return
        self.drawn = app.render_counter
        keys = next(self.steps, None)
        if keys is None:
            # The inputs did not match: ccli reports that it was aborted.
            app.exit(result=False)
        else:
            self.pipe.send_text(keys)


def run(arguments, inputs):
    sys.argv = ["ccli", *arguments]
    with create_pipe_input() as pipe, create_app_session(pipe, Typist(pipe, inputs)):
        ccli.main()


def printed(arguments, inputs=()):
    """Return the output of one command."""
    with tempfile.TemporaryFile() as out:
        child = os.fork()
        if not child:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            try:
                run(arguments, inputs)
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
results = {name: printed(**job) for name, job in jobs.items()}
json.dump(results, sys.stdout)

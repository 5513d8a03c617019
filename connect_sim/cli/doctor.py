"""`doctor`: find out what is wrong with the running sandbox, and what to do."""

from __future__ import annotations

import click

from connect_sim.cli import django_commands, options, output, processes, running

_FOUND = 1


@click.command(cls=options.Command, example="connect-sim doctor")
@options.as_json
@options.data_dir
def doctor(as_json: bool) -> int:
    """Find out what is wrong with the sandbox, and what to do: a line for each finding.

    Looks at database, broker, worker, scheduler, clock, port, keys, and whether the handlers of
    active webhooks can be reached. The last line is the verdict. Exit codes: 0 (nothing is wrong,
    as far as can be told), 1 (something is), 3 (no sandbox has been started).
    """
    sandbox = running.find()
    processes.use_data_dir()
    with django_commands.set_up():
        from connect_sim.diagnosis import NOTE, examine
        from portal.home.system_status import BAD, UNKNOWN

        found = examine(sandbox)
    wrong = list(dict.fromkeys(each.name.lower() for each in found if each.state == BAD))
    unknown = [each.name.lower() for each in found if each.state == UNKNOWN]
    verdict = f"Wrong: {', '.join(wrong)}." if wrong else "Nothing is wrong."
    if unknown:
        verdict += f" Unknown: {', '.join(unknown)}."
    checks = [{"name": each.name.lower(), "state": each.state, "text": each.text} for each in found]
    shown = (f"{each.name}: {each.text}" for each in found if each.state in (BAD, NOTE))
    content = {"ok": not wrong, "verdict": verdict, "checks": checks}
    output.answer(content, as_json, [*shown, verdict])
    return _FOUND if wrong else 0

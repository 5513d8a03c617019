"""Run the calls of tables with a client, and print what each returned.

`python runner.py <tables.json`: tables by the name of their module, of flows by name, each a list
of steps. The names in a step are those of the module and of the flow's earlier steps:

- `call`: an expression, whose result is `it`, and the name in `as`. Rows of a query become a list.
- `until`: the call is repeated until this is true.
- `refused`: the call must be refused; `it` is the error.
- `holds`: what must be true of the result.
- `do`: statements instead of a call.
"""

import asyncio
import importlib
import inspect
import json
import sys
import threading
import time
import traceback


async def result(value):
    if inspect.isawaitable(value):
        value = await value
    if hasattr(value, "__aiter__"):
        return [row async for row in value]
    return list(value) if hasattr(value, "order_by") else value


async def called(client, step, names):
    deadline = time.monotonic() + 60
    while True:
        try:
            names["it"] = await result(eval(step["call"], names))
        except client.Refused as error:
            if "refused" not in step:
                raise
            names["it"] = client.described(error)
        if eval(step.get("until", "True"), names):
            return names["it"]
        assert time.monotonic() < deadline, f"not in time: {step}"
        threading.Event().wait(0.05)


async def run(client, steps):
    """Return the result of each step; the last one is the error that ended the flow, if any."""
    names, found = dict(vars(client)), []
    for step in steps:
        try:
            exec(step.get("do", ""), names)
            it = await called(client, step, names) if "call" in step else None
            names.update({step["as"]: it} if "as" in step else {})
            holds = [bool(eval(fact, names)) for fact in step.get("holds", ())]
        except Exception:
            return [*found, {"error": traceback.format_exc()}]
        found.append({"it": it, "holds": holds})
    return found


async def main():
    found = {}
    for table, flows in json.load(sys.stdin).items():
        client = importlib.import_module(table)
        found[table] = {name: await run(client, steps) for name, steps in flows.items()}
    return found


def plain(value):
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


json.dump(asyncio.run(main()), sys.stdout, default=plain)

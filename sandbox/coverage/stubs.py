"""Tests of cases in pytest, for `node --test`, and for a shell, which run as they are printed.

Each step of a recipe is a method of a language, which returns lines. The tests for Node.js and a
shell run by `connect-sim exec`, and find the handler at HANDLER_URL, by default at PORT. No ORM.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.coverage import recipes
from sandbox.coverage.cases import Case
from sandbox.coverage.recipes import CONFIG, ORDER, WRONG, Step

Json = Mapping[str, Any]
_PATHS = {ORDER: "/requests", CONFIG: "/tier/config-requests"}
_SETUPS = "/tier/config-requests?configuration.product.id="


class Language:
    """Writes the steps of a test; `queue` is that of the object at hand."""

    head = ""
    indent = ""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.queue = ORDER
        self.is_declared = False

    def write(self) -> str:
        """Return the test, empty if there is none."""
        steps = recipes.steps(self.case)
        lines = [f"{self.indent}{line}" for step in steps for line in self._lines(step)]
        return self.frame(lines) if lines else ""

    def _lines(self, step: Step) -> Iterable[str]:
        if step.name == "sample":
            self.queue = step.arguments[0]
        lines = getattr(self, step.name)(*step.arguments)
        return [lines] if isinstance(lines, str) else lines

    def frame(self, lines: list[str]) -> str:
        """Return the test with these lines."""
        raise NotImplementedError

    @property
    def title(self) -> str:
        """What the test is of, on one line."""
        return f"{self.case.id}: {self.case.text}"

    def wrong_body(self) -> Json:
        """Return the body that gives a parameter an error."""
        return {"asset": {"params": WRONG}} if self.queue == ORDER else {"params": WRONG}


class Pytest(Language):
    """For the plugin, whose fixture `handler_url` is the tester's."""

    indent = "    "
    head = """\
import os

# With it your handler verifies the tokens.
SECRET = os.environ.get("JWT_SECRET", "")


"""

    def frame(self, lines: list[str]) -> str:
        name = re.sub(r"\W+", "_", self.case.id).lower()
        text = "\n".join(lines)
        return (
            f"{self.head}def test_{name}(connect_sim, handler_url):\n    # {self.title}\n{text}\n"
        )

    def product(self, body: Json) -> str:
        return f"product = connect_sim.product({_keywords(body)})"

    def subscription(self) -> str:
        return f'connect_sim.sample(product, "{ORDER}", "change")  # with a subscription'

    def sample(self, queue: str, kind: str, draft: bool = False) -> str:
        more = f', "{kind}"' if kind else ""
        is_draft = ", draft=True" if draft else ""
        return f'subject = connect_sim.sample(product, "{queue}"{more}{is_draft})'

    def webhook(self, queue: str, kind: str = "") -> Iterable[str]:
        yield "webhook = connect_sim.webhook("
        more = f' type="{kind}",' if kind else ""
        yield f'    product, handler_url, "{queue}",{more} secret=SECRET'
        yield ")"

    def wrong_value(self) -> str:
        path = f'f"{_PATHS[self.queue]}/{{subject}}"'
        return f"connect_sim.api().put({path}, {_python(self.wrong_body())})"

    def move(self, action: str, body: Json) -> str:
        more = f", {_keywords(body)}" if body else ""
        return f'connect_sim.move(subject, "{action}"{more})'

    def move_setup(self, action: str, body: Json) -> Iterable[str]:
        yield f'[setup] = connect_sim.api().get(f"{_SETUPS}{{product}}")'
        yield self.move(action, body).replace("subject", 'setup["id"]', 1)

    def fault(self, kind: str, parameters: Json, scope: Json, of_webhook: bool) -> str:
        # `for` is a keyword.
        named = {f"{name}_" if name == "for" else name: parameters[name] for name in parameters}
        words = [f'"{kind}"', *(["webhook=webhook"] if of_webhook else [])]
        more = _keywords({**named, **scope})
        return f"fault = connect_sim.faults.add({', '.join([*words, *([more] if more else [])])})"

    def status(self, status: str) -> str:
        return f'connect_sim.expect(subject).status("{status}")'

    def delivered(self) -> str:
        return "connect_sim.expect(webhook).delivered()"

    def object_delivered(self) -> str:
        return "connect_sim.expect(subject).delivered()"

    def failed(self) -> str:
        return "connect_sim.expect(webhook).failed()"

    def called(self) -> str:
        return "connect_sim.expect(webhook).called(at_least=1)"

    def idle(self) -> str:
        return "connect_sim.expect().idle()"

    def out_of_order(self) -> str:
        return 'connect_sim.expect(webhook).out_of_order(within="30d")'

    def trigger(self) -> str:
        return "connect_sim.trigger(webhook)"

    def clear(self) -> str:
        return "fault.clear()"

    def fired(self) -> str:
        return "assert fault.fired"

    def validated(self) -> str:
        return "assert connect_sim.validate(subject).called"

    def not_validated(self) -> Iterable[str]:
        yield 'refusal = ""'
        yield "try:"
        yield "    connect_sim.validate(subject)"
        yield "except Exception as error:"
        yield "    refusal = str(error)"
        yield 'assert "VAL_100" in refusal'


class Node(Language):
    """For `node --test`."""

    indent = "  "
    head = """\
import assert from 'node:assert';
import { test } from 'node:test';

const { CONNECT_SIM_URL, CONNECT_API_KEY, JWT_SECRET, PORT } = process.env;
const { HANDLER_URL = `http://127.0.0.1:${PORT}/` } = process.env;
const send = (method, path, body) => fetch(CONNECT_SIM_URL + path, {
  method,
  headers: {
    Authorization: CONNECT_API_KEY, 'Content-Type': 'application/json', 'X-Sandbox-Actor': 'test',
  },
  body: body && JSON.stringify(body),
});
const call = async (method, path, body) => {
  const response = await send(method, path, body);
  const text = await response.text();
  assert.ok(response.ok, text);
  return text && JSON.parse(text);
};
const create = async (path, body) => (await call('POST', path, body)).id;
const move = (id, action, data) => call('POST', '/sandbox/queue/moves', { id, action, data });
const wait = (until, more) => call('POST', '/sandbox/wait', {
  until, skip: true, timeout: 30, ...more,
});

"""

    def frame(self, lines: list[str]) -> str:
        text = "\n".join(lines)
        return f"{self.head}test({_js(self.title)}, async () => {{\n{text}\n}});\n"

    def product(self, body: Json) -> str:
        return f"const product = await create('/sandbox/products', {_js(body)});"

    def subscription(self) -> str:
        body = f"{{ queue: '{ORDER}', type: 'change', product }}"
        return f"await create('/sandbox/queue/samples', {body}); // with a subscription"

    def sample(self, queue: str, kind: str, draft: bool = False) -> str:
        more = f", type: '{kind}'" if kind else ""
        body = f"{{ queue: '{queue}'{more}, product{', draft: true' if draft else ''} }}"
        declared = "" if self.is_declared else "let "
        self.is_declared = True
        return f"{declared}subject = await create('/sandbox/queue/samples', {body});"

    def webhook(self, queue: str, kind: str = "") -> Iterable[str]:
        yield "const webhook = await create('/public/v1/notifications/webhooks', {"
        more = f" type: '{kind}'," if kind else ""
        yield f"  label: 'Test', product_id: product, object_class: '{queue}',{more}"
        yield "  external_url: HANDLER_URL, jwt_secret: JWT_SECRET,"
        yield "});"

    def wrong_value(self) -> str:
        path = f"`/public/v1{_PATHS[self.queue]}/${{subject}}`"
        return f"await call('PUT', {path}, {_js(self.wrong_body())});"

    def move(self, action: str, body: Json, of: str = "subject") -> str:
        return f"await move({of}, '{action}', {_js(body)});"

    def move_setup(self, action: str, body: Json) -> Iterable[str]:
        path = f"`/public/v1{_SETUPS}${{product}}`"
        yield f"const [setup] = await call('GET', {path});"
        yield self.move(action, body, "setup.id")

    def fault(self, kind: str, parameters: Json, scope: Json, of_webhook: bool) -> Iterable[str]:
        body = {"kind": kind, "parameters": parameters, **scope}
        text = _js(body)[:-2] + (", webhook }" if of_webhook else " }")
        yield f"const fault = await create('/sandbox/faults', {text});"

    def status(self, status: str) -> str:
        return f"await wait({{ status: {{ object: subject, is: '{status}' }} }});"

    def delivered(self) -> str:
        return "await wait({ delivered: { webhook } });"

    def object_delivered(self) -> str:
        return "await wait({ delivered: { object: subject } });"

    def failed(self) -> str:
        return "await wait({ failed: { webhook } });"

    def called(self) -> str:
        return "await wait({ called: { webhook, at_least: 1 } });"

    def idle(self) -> str:
        return "await wait({ idle: true });"

    def out_of_order(self) -> str:
        return "await wait({ out_of_order: webhook }, { within: '30d' });"

    def trigger(self) -> str:
        return "await call('POST', `/public/v1/notifications/webhooks/${webhook}/trigger`);"

    def clear(self) -> str:
        return "await call('DELETE', `/sandbox/faults/${fault}`);"

    def fired(self) -> str:
        return "assert.ok((await call('GET', `/sandbox/faults/${fault}`)).fired);"

    def validated(self) -> str:
        validate = "call('POST', '/sandbox/queue/validate', { id: subject })"
        return f"assert.ok((await {validate}).called);"

    def not_validated(self) -> Iterable[str]:
        yield "const response = await send('POST', '/sandbox/queue/validate', { id: subject });"
        yield "assert.match(await response.text(), /VAL_100/);"


class Shell(Language):
    """For a POSIX shell with curl and the program connect-sim."""

    head = """\
#!/bin/sh
set -eu
HANDLER_URL=${HANDLER_URL:-http://127.0.0.1:$PORT/}
call() { # METHOD PATH [BODY]
    curl -sS --fail-with-body -X "$1" -H "Authorization: $CONNECT_API_KEY" \\
        -H "X-Sandbox-Actor: test" -H "Content-Type: application/json" ${3:+-d "$3"} \\
        "$CONNECT_SIM_URL$2"
}
first_id() { grep -o '"id": *"[^"]*"' | head -n 1 | cut -d '"' -f 4; }
add() { connect-sim queue add "$@" --product "$product" | cut -d ' ' -f 1; }
add_webhook() {
    printf %s "$JWT_SECRET" |
        connect-sim webhook create "$HANDLER_URL" "$product" --secret-file - --object-class "$@" |
        cut -d ' ' -f 1
}
wait_for() { connect-sim wait "$@" --skip --timeout 30; }

"""

    def frame(self, lines: list[str]) -> str:
        text = "\n".join(lines)
        return f"{self.head}# {self.title}\n{text}\n"

    def product(self, body: Json) -> str:
        return f"product=$(call POST /sandbox/products {_sh(body)} | first_id)"

    def subscription(self) -> str:
        return f"add {ORDER} --type change # with a subscription"

    def sample(self, queue: str, kind: str, draft: bool = False) -> str:
        more = f" --type {kind}" if kind else ""
        return f"subject=$(add {queue}{more}{' --draft' if draft else ''})"

    def webhook(self, queue: str, kind: str = "") -> str:
        return f"webhook=$(add_webhook {queue}{f' --type {kind}' if kind else ''})"

    def wrong_value(self) -> str:
        path = f'"/public/v1{_PATHS[self.queue]}/$subject"'
        return f"call PUT {path} {_sh(self.wrong_body())} >/dev/null"

    def move(self, action: str, body: Json, of: str = '"$subject"') -> str:
        data = f" --data {_sh(body)}" if body else ""
        return f"connect-sim queue move {of} {action}{data}"

    def move_setup(self, action: str, body: Json) -> Iterable[str]:
        yield f'setup=$(call GET "/public/v1{_SETUPS}$product" | first_id)'
        yield self.move(action, body, '"$setup"')

    def fault(self, kind: str, parameters: Json, scope: Json, of_webhook: bool) -> str:
        options = [f"--{name} {_word(value)}" for name, value in scope.items()]
        values = [f"{name}={_word(value)}" for name, value in parameters.items()]
        more = " ".join([*(['--webhook "$webhook"'] if of_webhook else []), *options, *values])
        return f"fault=$(connect-sim fault add {kind} {more} | cut -d ' ' -f 1)".replace("  ", " ")

    def status(self, status: str) -> str:
        return f'wait_for status "$subject" {status}'

    def delivered(self) -> str:
        return 'wait_for delivered "$webhook"'

    def object_delivered(self) -> str:
        return 'wait_for delivered "$subject"'

    def failed(self) -> str:
        return 'wait_for failed "$webhook"'

    def called(self) -> str:
        return 'wait_for called "$webhook" --at-least 1'

    def idle(self) -> str:
        return "wait_for idle"

    def out_of_order(self) -> str:
        return 'wait_for out-of-order "$webhook" --within 30d'

    def trigger(self) -> str:
        return 'connect-sim webhook trigger "$webhook"'

    def clear(self) -> str:
        return 'connect-sim fault clear "$fault"'

    def fired(self) -> str:
        return """call GET "/sandbox/faults/$fault" | grep -q '"fired": *[1-9]'"""

    def validated(self) -> str:
        return """connect-sim queue validate "$subject" --json | grep -q '"called": *true'"""

    def not_validated(self) -> str:
        return 'connect-sim queue validate "$subject" --json 2>&1 | grep -q VAL_100'


LANGUAGES: Mapping[str, type[Language]] = {"pytest": Pytest, "node": Node, "shell": Shell}


def write(case: Case, language: str) -> str | None:
    """Return a test of a case that is complete, None if there is none."""
    return LANGUAGES[language](case).write() or None


def join(tests: Iterable[str], language: str) -> str:
    """Return tests as one file, which begins with what each of them begins with."""
    head = LANGUAGES[language].head
    return head + "\n\n".join(each.removeprefix(head) for each in tests)


def _python(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text.replace(": false", ": False").replace(": true", ": True")


def _keywords(values: Json) -> str:
    return ", ".join(f"{name}={_python(value)}" for name, value in values.items())


def _js(value: Any) -> str:
    """Return a value of JavaScript: keys without quotes, texts with single ones."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{name}: {_js(each)}" for name, each in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_js, value))}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return json.dumps(value)


def _sh(value: Any) -> str:
    """Return JSON as one word of a shell; no text of ours has a single quote."""
    return f"'{json.dumps(value, ensure_ascii=False)}'"


def _word(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return _sh(value)
    text = str(value)
    return text if re.fullmatch(r"[\w./:-]+", text) else f"'{text}'"

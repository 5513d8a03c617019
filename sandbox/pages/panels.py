"""What the sandbox adds to the portal: panels, navigation, sentences of pages, first commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from django.conf import settings

from checks import sandbox_file
from portal import introductions, media
from portal.commands import COMMANDS, LOOKUPS
from portal.deliveries.bodies import escape_controls
from portal.home.first_steps import COMMAND_LINES, CommandLine
from portal.layout import BARS, NAVIGATION, Bar, NavigationItem
from portal.panels import (
    ATTEMPT,
    CHOSEN_ATTEMPT,
    DELIVERY_COLUMN,
    NEXT_ATTEMPT,
    OBJECT,
    PANELS,
    WEBHOOK,
    WEBHOOK_HEALTH,
    Panel,
)
from portal.products.views import ACTION_EXECUTORS
from requests_queue.catalog.models import Account, User
from sandbox import LISTEN_PORT
from sandbox.api.checks import checkable_webhooks
from sandbox.pages import checks, extensions, faults, timeline, world
from sandbox.timeline import deliveries, handler_activity
from sandbox.timeline.handler_activity import Key
from webhooks.models import Webhook

TIMELINE = NavigationItem("Timeline", "/timeline/")
ITEMS = [
    NavigationItem("Extensions", "/extensions/"),
    NavigationItem("Checks", "/checks/"),
    NavigationItem("Faults", "/faults/"),
    NavigationItem("Snapshots", "/snapshots/"),
]
SENTENCES = {
    "timeline": "The timeline has everything that happened in the sandbox: changes of objects, "
    "attempts, API calls, messages, moves of the clock, and faults.",
    "api-call": "This is one API call as it was recorded, with its request and its response.",
    "checks": "Checks judge whether a handler is authentic, idempotent, complete, fast, and safe "
    "when something fails, and say how to fix it.",
    "checks-webhook": "The checks send requests to this handler as Connect does, and judge what it "
    "does with them.",
    "checks-run": "A run has the result of each check, with evidence, and how to fix what failed.",
    "extensions": "An extension does what a webhook handler does, but its runner connects to the "
    "platform and gets tasks from it.",
    "extension": "These are the tasks of an extension: each is sent to its runner, and its result "
    "says whether it has ended or comes again.",
    "faults": "A fault lets requests to handlers or responses of the API fail on purpose, until "
    "you clear it or reset the sandbox.",
    "fault-new": "An armed fault fires for the requests or API calls that match this form.",
    "snapshots": "A snapshot is the whole sandbox, saved under a name: objects, webhooks, "
    "deliveries and simulated time of all accounts.",
    "snapshot-import": "A snapshot's file is checked as a whole before it is saved, and nothing "
    "else changes until you restore it.",
    "trace": "A trace is what happened in another sandbox until a test or a check failed there; "
    "this sandbox has only its file.",
    "snapshot-diff": "This is what has changed since the snapshot was saved, field by field.",
}
_PACKAGE = Path(__file__).resolve().parents[1]
_ROOT = _PACKAGE.parent
MAX_CALLS = 20  # of an attempt or object that are shown
MAX_FORECAST = 20  # attempts of a forecast that are shown
Shown = dict[str, Any]


def _add_navigation(items: list[NavigationItem]) -> None:
    """Add ours: the timeline after the deliveries, which it has too, the others at the end."""
    names = [item.name for item in items]
    items.insert(names.index("Deliveries") + 1, TIMELINE)
    items.extend(ITEMS)


def command_line() -> CommandLine:
    """Return the commands as users type them."""
    program = settings.PROGRAM
    # In a container the host is another machine.
    own_host = "host.docker.internal" if settings.SIM_IN_CONTAINER else "127.0.0.1"
    return CommandLine(
        listen=f"{program} listen{_data_dir()}",
        listen_and_approve=f"{program} listen --approve{_data_dir()}",
        url=f"http://127.0.0.1:{LISTEN_PORT}/",
        order=f"{program} queue add fulfillment{_data_dir()} --product",
        install_pytest=f"python3 -m venv .venv\n.venv/bin/pip install {_packages()}",
        own_url=f"http://{own_host}:{LISTEN_PORT}/",
        api_key=api_key,
    )


def api_key(account: Account) -> str:
    """Return the key of the account in sandbox.json, or an empty text."""
    try:
        sandbox = sandbox_file.read(settings.SIM_DATA_DIR)
    except sandbox_file.NoSandbox:
        return ""
    own = {key.partition(":")[0]: key for key in (sandbox.vendor_api_key, sandbox.provider_api_key)}
    users = User.objects.filter(account=account, is_service=True, is_active=True, uid__in=own)
    uid = users.values_list("uid", flat=True).first()
    return own[uid] if uid else ""


def _data_dir() -> str:
    """Return the option for the folder of sandbox.json, unless commands find it themselves."""
    is_found = settings.SIM_DATA_DIR in (_ROOT / "var", Path.cwd() / "var")
    if is_found or settings.SIM_IN_CONTAINER:
        return ""
    return f" --data-dir {quote(str(settings.SIM_DATA_DIR))}"


def _packages() -> str:
    """Return what pip installs: the plugin and the server."""
    plugin = _ROOT / "pytest-connect-sim"
    if plugin.is_dir():
        return f"{quote(str(plugin))} {quote(str(_ROOT))}"
    return "/path/to/connect-sim/dist/*.whl"


def register() -> None:
    """Add the panels, and what all pages have, to the portal's registries."""
    _add_navigation(NAVIGATION)
    introductions.SENTENCES.update(SENTENCES)
    COMMANDS.extend([world.commands, faults.commands])
    LOOKUPS.extend([faults.find_faults, checks.find_checks])
    media.MORE_STYLESHEETS.append(_PACKAGE / "static" / "sandbox" / "pages.css")
    BARS.append(Bar("portal/sandbox/bar.html", world.load_bar))
    COMMAND_LINES.append(command_line)
    ACTION_EXECUTORS.append(extensions.execute_action)
    PANELS.extend(
        [
            Panel(ATTEMPT, "sandbox/attempt.html", _summaries),
            Panel(CHOSEN_ATTEMPT, "sandbox/activity.html", _chosen_attempt),
            Panel(NEXT_ATTEMPT, "sandbox/advance.html", world.moments),
            Panel(DELIVERY_COLUMN, "", _summary_texts, "Handler"),
            Panel(OBJECT, "sandbox/object.html", timeline.load),
            Panel(WEBHOOK, "sandbox/forecast.html", _forecasts),
            Panel(WEBHOOK_HEALTH, "sandbox/forecast_end.html", _ends),
            Panel(WEBHOOK, "sandbox/check_verdict.html", _verdicts),
        ]
    )


def _chosen_attempt(account: str, keys: Sequence[Key]) -> dict[Key, Shown]:
    """Return the activity of attempts that have any; `more` is how many calls are left out."""
    return {
        key: {
            "calls": list(map(timeline.shown, each.calls[:MAX_CALLS])),
            "more": max(0, len(each.calls) - MAX_CALLS),
            "notes": each.notes,
        }
        for key, each in handler_activity.for_attempts(keys).items()
        if each.calls or each.notes
    }


def _summaries(account: str, keys: Sequence[Key]) -> dict[Key, str]:
    return {key: text for key, text in handler_activity.summaries(keys).items() if text}


def _summary_texts(account: str, keys: Sequence[Key]) -> dict[Key, str]:
    return {key: escape_controls(text) for key, text in _summaries(account, keys).items()}


def _forecasts(account: str, keys: Sequence[str]) -> dict[str, Shown]:
    """Return the forecasts of webhooks that back off; `more` is how many attempts are left out."""
    return {
        pk: {"rows": steps[:MAX_FORECAST], "more": max(0, len(steps) - MAX_FORECAST)}
        for pk, steps in _steps(keys).items()
    }


def _ends(account: str, keys: Sequence[str]) -> dict[str, Shown]:
    """Return when webhooks that back off would be out of order."""
    return {pk: {"webhook": pk, "at": each[-1].at} for pk, each in _steps(keys).items()}


def _steps(keys: Sequence[str]) -> dict[str, list[deliveries.Row]]:
    rows = Webhook.objects.filter(pk__in=keys, active=True, round__gt=0)
    steps = {row.pk: deliveries.forecast_of(row).rows for row in rows}
    return {pk: each for pk, each in steps.items() if each}


def _verdicts(account: str, keys: Sequence[str]) -> dict[str, Shown]:
    """Return the last run, if any, of each webhook that can be checked."""
    found = checkable_webhooks().filter(account=account, pk__in=keys)
    rows = found.values_list("pk", flat=True)
    last = checks.latest(keys)
    return {pk: {"webhook": pk, **_verdict(last.get(pk))} for pk in rows}


def _verdict(last: checks.RunView | None) -> Shown:
    if last is None:
        return {}
    run = last.run
    return {"run": run.pk, "badge": last.badge, "counts": last.counts, "at": run.started_at}

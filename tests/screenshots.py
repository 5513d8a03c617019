"""Pictures of the pages, of a sandbox that something has happened in: `make screenshots`.

A page joins them by a row of SHOTS.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import QUIET
from tests.handlers import Got, Handler, handler
from tests.portal.site import printed_link
from tests.processes import ROOT, Sandbox, pause, sandbox

FOLDER = ROOT / "docs" / "screenshots"
PLAIN, SUITE, METER = "PRD-814-505-018", "PRD-362-917-440", "PRD-590-284-731"
VENDOR, DISTRIBUTOR, NOBODY = "VA-610-138", "PA-318-442", ""


@dataclass
class Story:
    """The sandbox, and what happened in it: ids by the names that shots know them by."""

    running: Sandbox
    ids: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shot:
    """A picture: its name, the page (or how it is found), who looks, and what is done first."""

    name: str
    page: str | Callable[[Story], str]
    who: str = VENDOR
    width: int = 1440
    act: Callable[[Page], Any] = lambda page: None
    # Taken while nothing has happened yet.
    fresh: bool = False


SHOTS = [
    Shot("first-steps", "/", fresh=True),
    Shot("home", "/"),
    Shot("home-narrow", "/", width=380),
    Shot("products", "/products/"),
    Shot("product", f"/products/{PLAIN}/"),
    Shot("product-items", f"/products/{SUITE}/items/"),
    Shot("product-parameters", f"/products/{SUITE}/parameters/"),
    Shot("product-templates", f"/products/{PLAIN}/templates/"),
    Shot("product-capabilities", f"/products/{SUITE}/capabilities/"),
    Shot("product-capabilities-distributor", f"/products/{SUITE}/capabilities/", DISTRIBUTOR),
    Shot("products-narrow", "/products/", width=380),
    Shot("sign-in", "/sign-in/", NOBODY),
    Shot("password", "/password/"),
    Shot("not-found", "/nowhere/"),
]


def tell(story: Story, served: Handler) -> None:
    """Let it happen: a webhook that is out of order, one that backs off, one that does well."""
    running = story.running
    down = {"/security"}
    served.answer = lambda got: _answer(got, down)
    security = _webhook(running, served, "security", "Security provisioning", SUITE)
    for _ in range(3):
        _sample(running, SUITE)
    _until_called(running, security)
    running.advance("3d")
    well = _webhook(running, served, "backup", "Backup provisioning", PLAIN)
    meter = _webhook(running, served, "meter", "Metering", METER)
    made: list[str] = []
    for minutes, how_many in ((4, 3), (7, 1), (3, 5), (9, 2), (5, 4), (8, 2), (2, 6), (6, 1)):
        made += [_sample(running, PLAIN) for _ in range(how_many)]
        _sample(running, METER)
        running.advance(f"{minutes}m")
    down.add("/meter")
    _sample(running, METER)
    for pk in made[:8]:
        params = [{"id": "activation_id", "value": f"ACT-{pk[3:12]}"}]
        running.as_vendor("PUT", f"/requests/{pk}", {"asset": {"params": params}})
        running.as_vendor("POST", f"/requests/{pk}/approve", {})
    running.as_vendor("POST", f"/requests/{made[9]}/fail", {"reason": "The region is full."})
    wrong = [{"id": "contact_email", "value_error": "No mailbox of this name exists."}]
    running.as_vendor("PUT", f"/requests/{made[10]}", {"asset": {"params": wrong}})
    running.as_vendor("POST", f"/requests/{made[10]}/inquire", {})
    running.advance("1m")
    story.ids |= {"lost": security, "well": well, "failing": meter, "request": made[12]}


def _answer(got: Got, down: set[str]) -> Any:
    if got.path in down:
        return 503, b'{"error": "The provisioning system is down for maintenance."}'
    return 200, b'{"status": "accepted"}'


def _webhook(running: Sandbox, served: Handler, path: str, label: str, product: str) -> str:
    body = {
        "label": label, "product_id": product, "object_class": "fulfillment_request",
        "external_url": f"{served.url}{path}", "jwt_secret": f"JWT-{uuid.uuid4()}",
    }  # fmt: skip
    return str(running.as_vendor("POST", "/notifications/webhooks", body)["id"])


def _sample(running: Sandbox, product: str) -> str:
    body = {"queue": "fulfillment", "type": "purchase", "product": product}
    answer = running.call("POST", "/sandbox/queue/samples", body)
    assert answer.ok, answer.text
    return str(answer.json()["id"])


def _until_called(running: Sandbox, webhook: str) -> None:
    while not running.as_vendor("GET", f"/notifications/webhooks/{webhook}")["stats"]["triggers"]:
        pause()


@contextmanager
def _browser() -> Iterator[Browser]:
    binary = shutil.which("chromium")
    if binary is None:
        raise SystemExit("chromium is not installed: it takes the pictures.")
    as_root = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=binary, args=[*QUIET, *as_root])


def _signed_in(browser: Browser, running: Sandbox) -> dict[str, Any]:
    """Return the browser's states by who looks: the administrator as either account, or nobody."""
    states: dict[str, Any] = {NOBODY: None}
    context = browser.new_context(base_url=running.url)
    page = context.new_page()
    page.goto(printed_link(running))
    states[VENDOR] = context.storage_state()
    context.close()
    return states


def _take(browser: Browser, story: Story, shot: Shot, scheme: Any, state: Any) -> None:
    context = browser.new_context(
        base_url=story.running.url, viewport={"width": shot.width, "height": 900},
        color_scheme=scheme, storage_state=state, device_scale_factor=1,
    )  # fmt: skip
    page = context.new_page()
    if shot.who:
        _act_as(page, shot.who)
    page.goto(shot.page if isinstance(shot.page, str) else shot.page(story))
    shot.act(page)
    page.screenshot(path=FOLDER / f"{shot.name}-{scheme}.png")
    context.close()


def _act_as(page: Page, account: str) -> None:
    page.goto("/password/")
    page.locator(".who summary").click()
    page.locator(f'button[name="account"][value="{account}"]').click()
    page.wait_for_load_state()


def take(names: list[str]) -> None:
    """Take the pictures of these names, or all."""
    unknown = set(names) - {shot.name for shot in SHOTS}
    if unknown:
        raise SystemExit(f"There is no picture {', '.join(sorted(unknown))}.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    shots = [shot for shot in SHOTS if not names or shot.name in names]
    data = Path(tempfile.mkdtemp(prefix="connect-sim-screenshots-"))
    with sandbox(data) as running, handler() as served, _browser() as browser:
        story = Story(running)
        states = _signed_in(browser, running)
        for fresh in (True, False):
            if not fresh:
                tell(story, served)
            for shot in (shot for shot in shots if shot.fresh is fresh):
                for scheme in ("light", "dark"):
                    _take(browser, story, shot, scheme, states[VENDOR if shot.who else NOBODY])
                print(f"{FOLDER.relative_to(ROOT)}/{shot.name}-*.png")
    shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    take(sys.argv[1:])

"""Screenshots of the pages of a prepared sandbox: `make screenshots`.

`tests.portal.shots.SHOTS` has a row for each page.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import QUIET
from tests.handlers import handler
from tests.portal.scenario import Scenario, prepare
from tests.portal.shots import DISTRIBUTOR, NOBODY, SHOTS, VENDOR, Shot
from tests.portal.site import act_as, cookies
from tests.processes import ROOT, sandbox
from tests.shared_sandbox import sign_in

FOLDER = ROOT / "docs" / "screenshots"


@contextmanager
def _browser() -> Iterator[Browser]:
    binary = shutil.which("chromium")
    if binary is None:
        raise SystemExit("chromium is not installed: it takes the pictures.")
    as_root = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=binary, args=[*QUIET, *as_root])


def _take(page: Page, scenario: Scenario, shot: Shot, scheme: Any) -> None:
    page.set_viewport_size({"width": shot.width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(shot.address(scenario))
    shot.act(page)
    page.screenshot(path=FOLDER / f"{shot.name}-{scheme}.png")


def take(names: list[str]) -> None:
    """Take the screenshots of these names, or all."""
    unknown = set(names) - {shot.name for shot in SHOTS}
    if unknown:
        raise SystemExit(f"There is no picture {', '.join(sorted(unknown))}.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    shots = [shot for shot in SHOTS if not names or shot.name in names]
    data = Path(tempfile.mkdtemp(prefix="connect-sim-screenshots-"))
    with sandbox(data) as running, handler() as served, _browser() as browser:
        scenario, signed_in = Scenario(running), cookies(sign_in(running), running.url)
        for fresh in (True, False):
            if not fresh:
                prepare(scenario, served)
            for viewer in (VENDOR, DISTRIBUTOR, NOBODY):
                page = browser.new_context(base_url=running.url).new_page()
                if viewer:
                    page.context.add_cookies(signed_in)
                    act_as(page, viewer)
                for shot in shots:
                    if (shot.fresh, shot.viewer) == (fresh, viewer):
                        for scheme in ("light", "dark"):
                            _take(page, scenario, shot, scheme)
                        print(f"{FOLDER.relative_to(ROOT)}/{shot.name}-*.png")
                page.context.close()
        scenario.close()
    shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    take(sys.argv[1:])

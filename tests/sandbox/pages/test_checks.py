"""The pages of checks: who may use them, start, progress, result, cancel, and crashes."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from checks.model import Result
from checks.outputs import json_report
from sandbox import check_runs
from sandbox.models import CheckRun
from tests import html, make
from tests.make import Catalog
from tests.sandbox.pages import programs
from tests.sandbox.pages.programs import Program
from tests.signed_in import distributor, root, stranger, vendor  # noqa: F401  (fixtures)
from tests.unit.checks import reports
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db(transaction=True)

CANARY = "JWT-c0ffee00-canary-never-shown-5ec3e7"
HEADER = "header-value-never-shown"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def hook(catalog: Catalog) -> Webhook:
    return make.webhook(catalog, label="Orders", jwt_secret=CANARY, headers={"X-Key": HEADER})


def start(client: Client, hook: Webhook, status: int = 303, **fields: Any) -> Any:
    response = client.post(f"/checks/{hook.pk}/", {"seed": "0", **fields})
    assert response.status_code == status, response.content
    return response


def started(client: Client, hook: Webhook, **fields: Any) -> CheckRun:
    path = start(client, hook, **fields)["Location"]
    run = CheckRun.objects.latest("pk")
    assert path == f"/checks/{hook.pk}/{run.pk}/"
    return run


def begun(
    client: Client, hook: Webhook, program: Program, code: str = programs.WAITS, **fields: Any
) -> CheckRun:
    """Start a run that goes on until SIGTERM."""
    program.code = code
    run = started(client, hook, **fields)
    program.wait_until_ready()
    return run


def path_of(run: CheckRun) -> str:
    return reverse("checks-run", args=[run.webhook_id, run.pk])


def stored(hook: Webhook, *results: Result) -> CheckRun:
    """A run that has ended, without a process."""
    run = check_runs.begin(hook, {"select": [], "seed": 7}, "alice")
    report = json_report.render(reports.report(*results) if results else reports.mixed())
    check_runs.end(run.pk, {}, check_runs.Ending(CheckRun.FINISHED, report, 1))
    return run


def test_only_the_account_of_the_webhook_sees_its_checks(
    vendor: Client, distributor: Client, stranger: Client, root: Client, hook: Webhook
) -> None:
    run = stored(hook)
    paths = [f"/checks/{hook.pk}/", path_of(run), f"{path_of(run)}report.html"]
    for path in paths:
        assert [each.get(path).status_code for each in (vendor, root)] == [200, 200], path
        assert [each.get(path).status_code for each in (distributor, stranger)] == [404, 404], path
    for client in (distributor, stranger):
        assert client.post(f"/checks/{hook.pk}/", {"seed": "0"}).status_code == 404
        assert client.post(f"{path_of(run)}cancel/").status_code == 404
        assert html.get(client, "/checks/").by_role("heading", "No webhook to check")
    assert CheckRun.objects.count() == 1


def test_webhooks_that_checks_are_not_about_cannot_be_chosen(
    vendor: Client, catalog: Catalog, hook: Webhook
) -> None:
    other = make.webhook(catalog, n=2, object_class="tier_config_request")
    assert [name for name, *_ in html.get(vendor, "/checks/").rows()] == [f"Orders {hook.pk}"]
    assert vendor.get(f"/checks/{other.pk}/").status_code == 404


def test_run_is_shown_while_it_goes_on_and_when_it_has_ended(
    vendor: Client, hook: Webhook, program: Program
) -> None:
    fields = {"groups": ["auth"], "checks": "token.*", "strict": "on", "seed": "7"}
    run = begun(vendor, hook, program, **fields)
    assert run.options == {
        "type": "event",
        "method": "POST",
        "select": ["auth", "token.*"],
        "seed": 7,
        "strict": True,
        "deep": False,
        "invalid": {},
    }
    page = html.get(vendor, path_of(run))
    assert "1 of 2 checks done" in page and "auth.garbage" in page
    assert page.rows() == [["A valid call is processed auth.control", "MUST", "✓ pass", "300 ms"]]
    live = page.one("#run")["hx-get"]
    assert vendor.get(live, headers=HTMX).status_code == 204
    assert "Running" in html.get(vendor, "/checks/")
    refused = html.parse(start(vendor, hook, 409))
    assert "Checks are running already." in refused and "1 of 2 done" in refused

    assert vendor.post(f"{path_of(run)}cancel/").status_code == 303
    assert programs.join(run).state == CheckRun.CANCELLED
    part = html.get(vendor, live, **HTMX)
    assert part.by_role("heading", "Cancelled") and not part.all("[hx-get]")
    vendor.post(f"{path_of(run)}cancel/")
    assert "have ended already" in html.get(vendor, path_of(run)).messages
    started(vendor, hook)


def test_result_has_evidence_cure_and_files(vendor: Client, hook: Webhook) -> None:
    run = stored(hook)
    page = html.get(vendor, path_of(run))
    assert page.by_role("heading", "Fail") and "1 of 8 checks failed." in page
    failed = page.one('details[id="auth.garbage"]')
    assert "open" in failed.attributes and "HTTP/1.1 200" in failed.one("pre")
    terms = failed.one("dl").terms()
    assert terms["Fix"] == "Verify the token before anything else."
    assert terms["Reproduce"].startswith("connect-sim check http://127.0.0.1:9000/ --select")
    assert "open" not in page.one('details[id="auth.control"]').attributes
    again = failed.one('a[href^="/checks/"]')["href"]
    form = html.get(vendor, again)
    assert (form.by_label("Only these checks").value, form.by_label("Seed").value) == (
        "auth.garbage",
        "7",
    )
    file = vendor.get(f"{path_of(run)}report.html")
    name = f"checks-{hook.pk}-{run.pk}.html"
    assert file["Content-Disposition"] == f'attachment; filename="{name}"'
    assert "<h1>Fail</h1>" in file.content.decode()
    assert json_report.read(vendor.get(f"{path_of(run)}report.json").content.decode())
    assert vendor.get(f"{path_of(run)}report.xml").status_code == 404


def test_failures_with_one_cause_are_one_line_with_links_to_all(
    vendor: Client, hook: Webhook
) -> None:
    run = stored(hook, *reports.caused("auth.a", "auth.b", "token.c"))
    page = html.get(vendor, path_of(run))
    [line] = page.one('nav[aria-labelledby="failures"]').all("li")
    assert "Verifies no token." in line
    assert [link["href"] for link in line.all("a")] == ["#auth.a", "#auth.b", "#token.c"]
    assert ["open" in each.attributes for each in page.all("details.check")] == [True, False, False]


def test_report_of_another_version_is_named(vendor: Client, hook: Webhook) -> None:
    run = stored(hook)
    CheckRun.objects.update(report='{"format": 0}')
    assert "Another version of Connect Sim wrote this report" in html.get(vendor, path_of(run))
    assert vendor.get(f"{path_of(run)}report.html").status_code == 404


def test_last_verdict_is_on_the_pages_of_the_webhook(vendor: Client, hook: Webhook) -> None:
    statistics = f"/webhooks/{hook.pk}/statistics/"
    assert "Never checked" in html.get(vendor, statistics).one("[data-checks]")
    run = stored(hook)
    panel = html.get(vendor, statistics).one("[data-checks]")
    assert "Fail" in panel and panel.all(f'a[href="{path_of(run)}"]')
    assert html.get(vendor, f"/checks/{hook.pk}/").rows()[0][1] == "Fail"


def test_process_that_is_killed_fails_the_run(
    vendor: Client, hook: Webhook, program: Program
) -> None:
    program.code = programs.CRASHES
    run = programs.join(started(vendor, hook))
    assert (run.state, run.error) == (
        CheckRun.FAILED,
        "The process of the checks was ended by signal 9.",
    )
    page = html.get(vendor, path_of(run))
    assert page.by_role("heading", "Could not run") and run.error in page
    assert page.rows()[0][2] == "✓ pass"


def test_program_that_cannot_be_started_fails_the_run(
    vendor: Client, hook: Webhook, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_runs, "arguments", lambda run: ["/none/program"])
    assert "The checks could not be started: No such file or directory." in html.get(
        vendor, path_of(started(vendor, hook))
    )
    start(vendor, hook)


def test_run_that_does_not_end_when_cancelled_is_killed(
    vendor: Client, hook: Webhook, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_runs, "ENDING", 0.0)
    run = begun(vendor, hook, program, programs.WAITS.replace("sys.exit(143)", "None"))
    vendor.post(f"{path_of(run)}cancel/")
    run = programs.join(run)
    assert (run.state, run.exit_code) == (CheckRun.CANCELLED, -signal.SIGKILL)


def test_cancel_reaches_the_run_of_another_process(
    vendor: Client, hook: Webhook, program: Program
) -> None:
    run = begun(vendor, hook, program)
    # As another process does, which has no such job.
    CheckRun.objects.filter(pk=run.pk).update(is_cancelled=True)
    assert programs.join(run).state == CheckRun.CANCELLED


def test_stop_of_the_sandbox_ends_the_process_and_leaves_the_run_to_the_next_start(
    vendor: Client, hook: Webhook, program: Program
) -> None:
    run = begun(vendor, hook, program)
    check_runs.stop_all()
    run = programs.join(run)
    assert run.state == CheckRun.RUNNING
    check_runs.recover(is_alone=True, patience=0)
    assert "The sandbox was stopped." in html.get(vendor, path_of(run))
    start(vendor, hook)


def test_secrets_are_neither_in_arguments_nor_in_rows_and_pages(
    vendor: Client, hook: Webhook, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"{CANARY} {HEADER}"
    program.code = programs.JUDGES.replace("Approved.", text)
    program.report = json_report.as_json(reports.with_text(text))
    run = programs.join(started(vendor, hook))
    program.code, program.report = f"sys.exit({text!r})", None
    failed = programs.join(started(vendor, hook))
    for row in (run, failed):
        shown = vendor.get(path_of(row)).content.decode()
        for secret in (CANARY, HEADER):
            assert secret not in f"{row.progress} {row.report} {row.error} {row.options} {shown}"
    monkeypatch.undo()
    words = check_runs.arguments(run)
    assert words[1:5] == ["-P", "-m", "connect_sim", "check"] and hook.pk in words
    assert CANARY not in str(words)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"checks": "auth.unknown"}, "auth.unknown"),
        ({"checks": "nothing.*"}, "No check matches 'nothing.*'."),
        ({"checks": "validator"}, "None of them is a check of a webhook of type event."),
        ({"groups": ["validator"]}, "validator"),
        ({"seed": "-1"}, "0"),
        ({"seed": "x"}, "whole number"),
    ],
)
def test_bad_options_are_refused(
    vendor: Client, hook: Webhook, program: Program, fields: dict[str, Any], message: str
) -> None:
    page = html.parse(start(vendor, hook, 200, **fields))
    assert any(message in error for error in page.errors)
    assert not CheckRun.objects.exists()


def test_validator_has_values_that_it_refuses(
    vendor: Client, catalog: Catalog, program: Program
) -> None:
    row = make.webhook(catalog, type="validator", label="Drafts")
    assert html.parse(start(vendor, row, 200, invalid="no value")).errors
    run = started(vendor, row, invalid="domain=bad value\r\n\r\nsize=-1")
    assert run.options["invalid"] == {"domain": "bad value", "size": "-1"}
    assert html.get(vendor, path_of(run)).one("h1")

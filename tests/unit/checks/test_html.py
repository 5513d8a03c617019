"""The results of checks as one HTML file."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from checks.outputs import html
from requests_queue.safe_text import visible
from tests.html import parse
from tests.unit.checks.reports import FAIL, PASS, caused, check, mixed, report, result, with_text

PORTAL = Path(__file__).resolve().parents[3] / "portal/static/portal/base.css"
TOKEN = re.compile(r"^  (--[\w-]+): (light-dark\(.+\));$", re.MULTILINE)


def test_verdict_and_failures_are_at_the_top() -> None:
    page = parse(html.render(mixed(notes=("A note.",))))
    assert page.one("title").text == "Fail: checks of http://127.0.0.1:9000/"
    assert page.one("h1").text == "Fail"
    head = page.one("header").text
    assert "1 of 8 checks failed." in head and "A note." in head
    assert [item.text for item in page.all(".counts li")] == [
        "✓ 2 passed",
        "✗ 1 failed",
        "! 1 warning",
        "≈ 1 known failure",
        "? 1 inconclusive",
        "- 2 skipped",
    ]
    links = [link["href"] for link in page.one("nav").all("a")]
    assert links == ["#auth.garbage", "#auth.authorization_only"]
    assert page.one(".facts").terms()["Started"] == "2026-11-26 18:00:00 UTC"


def test_each_check_is_folded_and_failures_are_open() -> None:
    page = parse(html.render(mixed()))
    assert [group["aria-labelledby"] for group in page.all("section")] == [
        "group-auth",
        "group-token",
        "group-crash",
        "group-retry",
    ]
    details = {each["id"]: each for each in page.all("section details")}
    assert len(details) == 8
    open_ids = [pk for pk, each in details.items() if "open" in each.attributes]
    assert open_ids == ["auth.garbage", "auth.authorization_only"]
    failed = details["auth.garbage"]
    assert failed.one("pre").raw_text == "\nHTTP/1.1 200\nok"
    assert failed.terms()["Fix"] == "Verify the token before anything else."
    assert failed.terms()["Reproduce"].endswith("--select auth.garbage --seed 7")
    assert "Known until 2027-01-31." in details["auth.other_product"].text


def test_handlers_output_is_open_if_the_run_ended_early() -> None:
    closed = parse(html.render(mixed(output="Traceback\n"))).one(".output")
    opened = parse(html.render(report(error="No.", output="Traceback\n"))).one(".output")
    assert ("open" in closed.attributes, "open" in opened.attributes) == (False, True)
    assert parse(html.render(report(result(PASS)))).all(".output") == []


def test_page_has_no_script_no_link_to_another_host_and_no_style_attribute() -> None:
    text = html.render(mixed())
    assert not re.search(r"<script|<link|<img|url\(|@import|style=|\son\w+=", text)
    assert all(each["href"].startswith("#") for each in parse(text).all("a"))


def test_colors_are_those_of_the_portal() -> None:
    portal = dict(TOKEN.findall(PORTAL.read_text()))
    ours = dict(TOKEN.findall(html.STYLESHEET.read_text()))
    shared = {name: color for name, color in ours.items() if name in portal}
    assert shared == {name: portal[name] for name in shared}
    assert ours.keys() - shared == {"--warning", "--warning-wash"}


@given(st.text(st.characters(codec=None)))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    rendered = html.render(with_text(text))
    rendered.encode()
    page = parse(rendered)
    failed = page.one("details[id=auth.garbage]")
    assert failed.one(".found").raw_text == visible(text)
    assert failed.one("pre").raw_text == f"\n{visible(text)}\nend"
    assert len(page.all("section details")) == 3


def test_ids_of_checks_are_escaped() -> None:
    one = check('a"><script>.x')
    assert "<script>" not in html.render(report(result(FAIL, one)))


def test_failures_with_one_cause_are_one_line_with_links_to_all() -> None:
    document = html.render(report(*caused("auth.a", "auth.b", "token.c")))
    assert document.count("<h3>") == 3 and document.count(" open>") == 1
    head = document.partition("</nav>")[0]
    assert head.count("<li><span") == 1 and head.count("Verifies no token.") == 1
    assert [f'href="#{pk}"' in head for pk in ("auth.a", "auth.b", "token.c")] == [True] * 3

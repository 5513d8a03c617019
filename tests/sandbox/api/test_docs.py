"""`/llms.txt` and `/sandbox/docs/…`: the users' pages, for anybody who can reach the sandbox."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest
from django.test import Client

from sandbox import documentation
from sandbox.documentation import FOLDER

pytestmark = pytest.mark.django_db


def test_each_link_of_the_list_is_a_page(client: Client) -> None:
    response = client.get("/llms.txt")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    links = re.findall(r"\]\((/sandbox/docs/[\w-]+\.md)\)", response.content.decode())
    assert len(links) > 25
    for link in links:
        page = client.get(link)
        assert (page.status_code, page.headers["Content-Type"]) == (
            200, "text/markdown; charset=utf-8",
        )  # fmt: skip
        lines = (FOLDER / link.rpartition("/")[2]).read_text().splitlines()
        for shown, line in zip(page.content.decode().splitlines(), lines, strict=True):
            # Links may be written otherwise, also those that begin on the line before.
            assert shown == line or "[" in line or "](" in line


def test_each_link_of_a_page_leads_to_a_page(client: Client) -> None:
    links = set()
    for name in documentation.pages():
        page = f"/sandbox/docs/{name}.md"
        text = client.get(page).content.decode()
        links |= {urljoin(page, link) for link in re.findall(r"\]\(([\w./#:-]+)\)", text)}
    ours = {link.partition("#")[0] for link in links if link.startswith("/")}
    assert len(ours) > 25 and {client.get(link).status_code for link in ours} == {200}


@pytest.mark.parametrize("path", ["checks/auth.md", "checks/auth", "cli"])
def test_page_is_found_below_a_page_and_without_its_ending(client: Client, path: str) -> None:
    assert client.get(f"/sandbox/docs/{path}").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["architecture.md", "README.md", "nothing.md", "../README.md", "%2e%2e/README.md",
     "..%2fREADME.md", "checks/../../README.md", "_install.toml", "screenshots/home-light.png"],
)  # fmt: skip
def test_other_files_are_not_found(client: Client, path: str) -> None:
    response = client.get(f"/sandbox/docs/{path}")
    assert (response.status_code, response.json()["error_code"]) == (404, "NFND_000")


def test_pages_can_only_be_read(client: Client) -> None:
    assert client.post("/llms.txt").status_code == 405
    assert client.post("/sandbox/docs/cli.md").status_code == 405
    assert client.head("/sandbox/docs/cli.md").status_code == 200

"""The stylesheet and the script: one response of several files, and no unused class."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from django.test import Client

from portal import media


def test_stylesheet_joins_every_file() -> None:
    response = Client().get("/portal.css")
    assert response.status_code == 200 and response["Content-Type"].startswith("text/css")
    text = response.content.decode()
    files = sorted(media.STYLESHEETS.glob("*.css"))
    assert [file.stem for file in files] == sorted(media.STYLESHEET_NAMES)
    assert all(lines(file) <= set(text.splitlines()) for file in [*files, *media.MORE_STYLESHEETS])


def test_script_joins_every_file_of_pages_with_the_layout() -> None:
    response = Client().get("/portal.js")
    assert response.status_code == 200 and response["Content-Type"].startswith("text/javascript")
    text = response.content.decode()
    files = [file for file in media.STYLESHEETS.glob("*.js") if file.stem != "inquiry"]
    assert {file.stem for file in files} == {*media.SHARED_SCRIPTS, *media.SCRIPTS}
    assert all(lines(file) <= set(text.splitlines()) for file in files)


def lines(file: Path) -> set[str]:
    """Return the lines of a file without comments and indentation."""
    text = re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.DOTALL)
    found = {line.strip() for line in text.splitlines()}
    return {line for line in found if line and not line.startswith("//")}


@pytest.mark.parametrize("path", ["/portal.css", "/portal.js"])
def test_file_is_compressed(path: str) -> None:
    plain = Client().get(path)
    compressed = Client().get(path, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(compressed.content) == plain.content
    assert len(compressed.content) * 2 < len(plain.content)


@pytest.mark.parametrize("path", ["/portal.css", "/portal.js"])
def test_file_is_not_sent_again_unchanged(path: str) -> None:
    tag = Client().get(path)["ETag"]
    assert Client().get(path, headers={"If-None-Match": tag}).status_code == 304


def test_stylesheet_has_no_rule_without_elements() -> None:
    """Each class of a selector occurs in a template, a script or a module of its app."""
    check_classes(media.STYLESHEETS.parent.parent, media.STYLESHEETS.glob("*.css"))
    for file in media.MORE_STYLESHEETS:
        check_classes(file.parent.parent.parent, [file])


def check_classes(app: Path, stylesheets: Iterable[Path]) -> None:
    files = [file for kind in ("html", "js", "py") for file in app.rglob(f"*.{kind}")]
    text = " ".join(file.read_text() for file in files)
    for file in stylesheets:
        rules = re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.DOTALL)
        selectors = " ".join(re.findall(r"([^{};]+)\{", rules))
        for name in set(re.findall(r"\.([a-z][\w-]+)", selectors)):
            # `parts-{{ field.kind }}`: the end of a class may be a value.
            stem = re.sub(r"[-_][a-z]+(_[a-z0-9]+)?$", "-{", name)
            assert re.search(rf"(?<![\w-]){name}(?![\w-])", text) or stem in text, name

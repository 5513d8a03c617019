"""Check that the documentation says how to get Connect Sim as docs/_install.toml has it.

The file has two forms of each command or sentence, for today and for published packages, and the
switch between them. Prints `path: message` for each page that has another form and exits with 1;
with `--write`, puts the forms into the pages. A part of `make lint`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FILE = "docs/_install.toml"
# In a page, any version is accepted as an older one.
_VERSION = r"[0-9]+(?:\.[0-9]+)+(?:(?:a|b|rc|\.dev|\.post)[0-9]+)*"


class Invalid(Exception):
    """The file of forms cannot be used; the text says why."""


@dataclass(frozen=True)
class Forms:
    """The forms of one state of the switch, and patterns of those of both states.

    `replacements` has for each form of the file what a page has in its place.
    """

    replacements: Mapping[str, str]
    patterns: Mapping[str, re.Pattern[str]]
    only_today: re.Pattern[str]

    @cached_property
    def _any(self) -> re.Pattern[str]:
        longest = sorted(self.patterns, key=len, reverse=True)
        return re.compile("|".join(f"(?:{self.patterns[form].pattern})" for form in longest))

    def render(self, text: str) -> str:
        """Return the text of a page with the right forms."""
        return self._any.sub(lambda match: self._replacement(match[0]), text)

    def _replacement(self, text: str) -> str:
        form = next(f for f, pattern in self.patterns.items() if pattern.fullmatch(text))
        return self.replacements[form]

    def used(self, text: str) -> set[str]:
        """Return the replacements that a page has."""
        return {self._replacement(match[0]) for match in self._any.finditer(text)}

    def unlisted(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield line number and words of what only today's forms have, outside of all forms."""
        rest = self._any.sub(lambda match: "\n" * match[0].count("\n"), text)
        for match in self.only_today.finditer(rest):
            yield rest.count("\n", 0, match.start()) + 1, match[0]


def load(content: Mapping[str, Any], version: str, published: bool | None = None) -> Forms:
    """Return the forms of the file's switch, or of the given state; raises Invalid."""
    wanted = content["published"] if published is None else published
    names = content["names"]
    if content["published"] and not all(names.values()):
        raise Invalid(f"{FILE}: give all [names] where the packages are published.")
    replacements: dict[str, str] = {}
    for form in content["form"]:
        for text in (form["today"], form["published"]):
            if text in replacements:
                raise Invalid(f"{FILE}: two forms are the same: {text!r}")
            right = form["published" if wanted else "today"]
            replacements[text] = _fill(right, names, version)
    patterns = {text: re.compile(_pattern(text, names)) for text in replacements}
    return Forms(replacements, patterns, re.compile("|".join(content["pages"]["only_today"])))


def _fill(form: str, names: Mapping[str, str], version: str) -> str:
    text = form.replace("{version}", version)
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value or f"OWNER/{name}")
    return text


def _pattern(form: str, names: Mapping[str, str]) -> str:
    return re.escape(_fill(form, names, "\0")).replace(re.escape("\0"), _VERSION)


def pages(root: Path, content: Mapping[str, Any]) -> list[Path]:
    """Return the files that may have forms."""
    found = {path for pattern in content["pages"]["files"] for path in root.glob(pattern)}
    return sorted(path for path in found if path.is_file())


def check(root: Path, content: Mapping[str, Any], version: str) -> list[str]:
    """Return a message for each page or form that is wrong."""
    forms = load(content, version)
    messages, used = [], set()
    for page in pages(root, content):
        text, name = page.read_text(encoding="utf-8"), page.relative_to(root)
        if forms.render(text) != text:
            messages.append(
                f"{name}: has another form than {FILE}; run tools/docs_forms.py --write"
            )
        for line, words in forms.unlisted(text):
            messages.append(f"{name}:{line}: '{words}' is in no form of {FILE}")
        used |= forms.used(text)
    for form in sorted({*forms.replacements.values()} - used):
        messages.append(f"{FILE}: no page has the form {form!r}")
    return messages


def write(root: Path, content: Mapping[str, Any], version: str) -> None:
    """Put the right forms into all pages."""
    forms = load(content, version)
    for page in pages(root, content):
        text = page.read_text(encoding="utf-8")
        if (right := forms.render(text)) != text:
            page.write_text(right, encoding="utf-8")
            print(f"{page.relative_to(root)}: written")


def version_of(root: Path) -> str:
    """Return the version in connect_sim/__init__.py, without an import; raises Invalid."""
    source = (root / "connect_sim/__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if match is None:
        raise Invalid("connect_sim/__init__.py has no __version__.")
    return match[1]


def main() -> None:
    """Check the pages, or write them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--write", action="store_true", help="put the forms into the pages")
    options = parser.parse_args()
    content = tomllib.loads((ROOT / FILE).read_text(encoding="utf-8"))
    try:
        version = version_of(ROOT)
        if options.write:
            write(ROOT, content, version)
        messages = check(ROOT, content, version)
    except Invalid as invalid:
        sys.exit(str(invalid))
    for message in messages:
        print(message)
    if messages:
        sys.exit(1)


if __name__ == "__main__":
    main()

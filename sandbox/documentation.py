"""The users' pages of the documentation, as the wheel and a checkout have them; no Django.

`docs/README.md` is the only list of pages: its tables say what is on each of them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from requests_queue.suggestions import did_you_mean

# `_server` of a wheel, or the checkout.
ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs"
# A row of a table, and the line above it that says what its pages are for.
_ROW = re.compile(r"\| \[[^]]+\]\(([\w-]+)\.md\) \| (.+) \|")
_CHAPTER = re.compile(r"\*\*(.+)\*\*")
_HEADING = re.compile(r"#{1,6} +(.+)")
# An image or a link to a file.
_LINK = re.compile(r"!?\[([^]]*)\]\((?!/)([\w./-]+)(?:#[\w-]*)?\)")
_CONTRIBUTORS = "To change the code"
_SUMMARY = (
    "CloudBlue Connect's server side on your machine: request queues, signed webhooks, retries, "
    "the API that handlers call back, a clock that moves, and checks that judge a handler in any "
    "language."
)
_FOR_AGENTS = (
    "To write a webhook handler, follow the skill that `connect-sim skill install` copies, and "
    "judge the handler with `connect-sim check --run COMMAND`. `connect-sim docs PAGE` prints a "
    "page, `connect-sim docs --search WORDS` finds one."
)


class UnknownPage(ValueError):
    """There is no page of this name; the message names the nearest one."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its name without ending, the chapter of the list, and what is on it."""

    name: str
    chapter: str
    summary: str

    @property
    def text(self) -> str:
        """The Markdown."""
        return (FOLDER / f"{self.name}.md").read_text(encoding="utf-8")

    @property
    def linked_text(self) -> str:
        """The Markdown, which names files that are no pages instead of linking to them."""
        return _LINK.sub(self._link, self.text)

    def _link(self, link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(self.name), link[2]))
        name = path.removeprefix("docs/")
        if name.endswith(".md") and name.removesuffix(".md") in pages():
            return link[0]
        is_path = path.startswith(link[1].strip("`/"))
        return f"`{path}`" if is_path else f"{link[1]} (`{path}`)"

    @property
    def title(self) -> str:
        """The heading of the page."""
        return self.text.partition("\n")[0].removeprefix("# ")


@dataclass(frozen=True, slots=True)
class Match:
    """A section of a page that has all words: its heading, and its first line with most of them."""

    page: str
    heading: str
    line: int
    text: str


@cache
def pages() -> dict[str, Page]:
    """Return the pages by name, in the order of the list; a page comes before those below it."""
    found: dict[str, Page] = {}
    chapter = ""
    for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines():
        if heading := _CHAPTER.fullmatch(line):
            chapter = heading[1]
        if chapter == _CONTRIBUTORS or not (row := _ROW.fullmatch(line)):
            continue
        found[row[1]] = Page(row[1], chapter, row[2])
        for path in sorted((FOLDER / row[1]).glob("*.md")):
            found[f"{row[1]}/{path.stem}"] = Page(f"{row[1]}/{path.stem}", "", "")
    return found


def find(name: str) -> Page:
    """Return the page of a name such as `cli`, `cli.md` or `docs/cli.md`; raises UnknownPage."""
    short = name.removeprefix("docs/").removesuffix(".md")
    if short in pages():
        return pages()[short]
    raise UnknownPage(f"There is no page {name[:80]!r}.{did_you_mean(short, pages())}")


def search(words: str) -> list[Match]:
    """Return the sections with all words, whatever their case, the best first.

    A section whose heading has them is better than one with a line that has them, and that is
    better than one in which they are spread.
    """
    wanted = words.lower().split()
    ranked = []
    for page in pages().values():
        for heading, number, lines in _sections(page.text):
            counts = [sum(word in line.lower() for word in wanted) for line in lines]
            most = max(counts)
            text = "\n".join(lines).lower()
            if all(word in text for word in wanted):
                place = counts.index(most)
                rank = (counts[0] < len(wanted), most < len(wanted), -sum(counts))
                match = Match(page.name, heading, number + place, lines[place].strip())
                ranked.append((rank, match))
    return [match for _, match in sorted(ranked, key=lambda each: each[0])] if wanted else []


def _sections(text: str) -> Iterator[tuple[str, int, list[str]]]:
    """Yield heading, number of the first line, and lines of each section."""
    heading, start, lines, in_code = "", 1, [""], False
    for number, line in enumerate(text.splitlines(), 1):
        in_code ^= line.lstrip().startswith("```")
        found = None if in_code else _HEADING.fullmatch(line)
        if found:
            if start < number:
                yield heading, start, lines
            heading, start, lines = found[1], number, []
        lines.append(line)
    yield heading, start, lines


def llms_text(prefix: str) -> str:
    """Return the list of pages in the form of llmstxt.org; links begin with the prefix."""
    lines = ["# Connect Sim", "", f"> {_SUMMARY}", "", _FOR_AGENTS]
    chapter = ""
    for page in pages().values():
        if not page.summary:
            continue
        if page.chapter != chapter:
            chapter = page.chapter
            lines += ["", f"## {chapter}", ""]
        summary = page.summary[0].upper() + page.summary[1:]
        lines.append(f"- [{page.title}]({prefix}{page.name}.md): {summary}.")
    return "\n".join(lines) + "\n"

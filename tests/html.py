"""A page as a tree of elements, which tests query by selector, role and label instead of text.

`html.parse(client.get("/webhooks/")).by_role("button", "Recover")`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

_VOID = {"br", "hr", "img", "input", "link", "meta"}
_ROLES = {
    "link": "a", "button": "button", "row": "tr", "dialog": "dialog", "form": "form",
    "navigation": "nav", "table": "table", "listitem": "li",
}  # fmt: skip
_STEP = re.compile(r"([\w-]+|\*)?((?:#[\w-]+|\.[\w-]+|\[[^\]]+\])*)")
_CONDITION = re.compile(r'#([\w-]+)|\.([\w-]+)|\[([\w-]+)(?:(\^?=)"?([^"\]]*)"?)?\]')


@dataclass(eq=False, repr=False)
class Element:
    """An element, or a whole page: its attributes and what is inside it."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    parent: Element | None = None
    children: list[Element | str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<{self.tag} {self.attributes}: {self.text}>"

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]

    def get(self, name: str) -> str:
        """Return an attribute, empty if it is missing or has no value."""
        return self.attributes.get(name, "")

    def __contains__(self, text: str) -> bool:
        return text in self.text

    @property
    def raw_text(self) -> str:
        """The text with its white space."""
        return "".join(c if isinstance(c, str) else c.raw_text for c in self.children)

    @property
    def text(self) -> str:
        """The text without icons, with a space between elements and single spaces elsewhere."""
        if self.tag == "svg" and self.get("aria-hidden"):
            return ""
        parts = (c if isinstance(c, str) else f" {c.text} " for c in self.children)
        return re.sub(r"\s+([.,:;])", r"\1", " ".join("".join(parts).split()))

    def descendants(self) -> Iterator[Element]:
        """Yield all elements inside, in the order of the document."""
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child.descendants()

    def all(self, selector: str) -> list[Element]:
        """Return the elements that match `tag#id.class[attribute="value"]`, or a path of them."""
        *outer, last = re.findall(r"(?:\[[^\]]*\]|\S)+", selector)
        return [e for e in self.descendants() if e.matches(last) and e.is_within(outer)]

    def one(self, selector: str) -> Element:
        """Return the only element that matches."""
        return _only(self.all(selector), selector, self)

    def matches(self, step: str) -> bool:
        """Whether the element matches a selector without spaces."""
        parts = _STEP.fullmatch(step)
        assert parts, step
        if parts[1] not in (None, "*", self.tag):
            return False
        for pk, name, attribute, operator, value in _CONDITION.findall(parts[2]):
            actual = self.get(attribute)
            if (
                (pk and self.get("id") != pk)
                or (name and name not in self.get("class").split())
                or (attribute and attribute not in self.attributes)
                or (operator == "=" and actual != value)
                or (operator == "^=" and not actual.startswith(value))
            ):
                return False
        return True

    def is_within(self, steps: list[str]) -> bool:
        """Whether ancestors match the steps, from the outermost to the innermost."""
        steps, parent = list(steps), self.parent
        while steps and parent is not None:
            if parent.matches(steps[-1]):
                steps.pop()
            parent = parent.parent
        return not steps

    def roles(self, role: str, name: str | None = None) -> list[Element]:
        """Return the elements of a role, if given with this accessible name."""
        elements = [e for e in self.descendants() if e.role == role]
        return elements if name is None else [e for e in elements if e.name == name]

    def by_role(self, role: str, name: str | None = None) -> Element:
        """Return the only element of a role and an accessible name."""
        return _only(self.roles(role, name), f"{role} {name or ''}", self)

    @property
    def role(self) -> str:
        """The explicit role, or the one that the tag implies."""
        if re.fullmatch("h[1-6]", self.tag):
            return self.get("role") or "heading"
        implied = next((role for role, tag in _ROLES.items() if tag == self.tag), "")
        return self.get("role") or implied

    @property
    def name(self) -> str:
        """The accessible name: its label, or else its text."""
        if label := self.get("aria-labelledby"):
            return " ".join(self.root.one(f"#{pk}").text for pk in label.split())
        return self.get("aria-label") or self.text

    @property
    def root(self) -> Element:
        """The whole page."""
        return self if self.parent is None else self.parent.root

    def by_label(self, label: str) -> Element:
        """Return the control that a label, without its note "optional", belongs to."""
        controls = "input", "select", "textarea"
        for element in self.all("label"):
            if element.text.removesuffix(" optional") == label:
                if "for" in element.attributes:
                    return self.root.one(f"#{element['for']}")
                return next(e for e in element.descendants() if e.tag in controls)
        raise AssertionError(f"No label {label!r} in: {self.text}")

    @property
    def value(self) -> str:
        """The value that a control sends."""
        if self.tag == "select":
            chosen = self.all("option[selected]") or self.all("option")[:1]
            return chosen[0].attributes.get("value", chosen[0].text) if chosen else ""
        # A browser drops the first line break.
        return self.raw_text.removeprefix("\n") if self.tag == "textarea" else self.get("value")

    def sent(self) -> list[tuple[str, str]]:
        """Return the values that a form sends, without its buttons."""
        return [
            (e["name"], e.value)
            for e in self.descendants()
            if e.tag in ("input", "select", "textarea")
            and e.get("name")
            and "disabled" not in e.attributes
            and (e.get("type") not in ("checkbox", "radio") or "checked" in e.attributes)
        ]

    def terms(self) -> dict[str, str]:
        """Return the descriptions of all lists of terms, by term."""
        terms = (dt.text for dt in self.all("dt"))
        return dict(zip(terms, (dd.text for dd in self.all("dd")), strict=True))

    def rows(self) -> list[list[str]]:
        """Return the cells of all table bodies."""
        return [
            [cell.text for cell in row.descendants() if cell.tag in ("td", "th")]
            for row in self.all("tbody tr")
        ]

    @property
    def errors(self) -> list[str]:
        """The errors at fields and in summaries."""
        elements = [e for e in self.descendants() if e.matches(".error") or e.role == "alert"]
        return [e.text.removeprefix("Error: ") for e in elements]

    @property
    def messages(self) -> str:
        """The messages at the top of the page."""
        return " ".join(e.text for e in self.all("[role=status] p"))


def _only(elements: list[Element], what: str, inside: Element) -> Element:
    assert len(elements) == 1, f"{len(elements)} of {what} in: {inside.text}"
    return elements[0]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.current = Element("")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        element = Element(tag, attributes, self.current)
        self.current.children.append(element)
        if tag not in _VOID:
            self.current = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.current.tag == tag, f"</{tag}> closes <{self.current.tag}>: {self.getpos()}"
        assert self.current.parent is not None
        self.current = self.current.parent

    def handle_data(self, data: str) -> None:
        self.current.children.append(data)


def parse(page: Any) -> Element:
    """Return the page of a response, or of a text; fail if its tags are not balanced."""
    parser = _Parser()
    parser.feed(page if isinstance(page, str) else page.content.decode())
    parser.close()
    assert parser.current is parser.root, f"<{parser.current.tag}> is not closed"
    return parser.root


def get(client: Any, path: str, status: int = 200, **headers: str) -> Element:
    """Open a page."""
    response = client.get(path, headers=headers)
    assert response.status_code == status, (path, response.status_code)
    return parse(response)

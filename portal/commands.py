"""What the command palette offers; apps above the portal add to it.

    COMMANDS.append(lambda viewer: [Command("Clear all faults", "/faults/clear/", method="post")])
    LOOKUPS.append(find_faults)

Buttons of the current page need no entry: the palette lists those that it finds in the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from portal.identity import Viewer

MAX_FOUND = 5  # of each kind of object


@dataclass(frozen=True, slots=True)
class Command:
    """A page to open, or a form to submit: `method` is get or post, `field` its only value."""

    name: str
    address: str
    # Shown beside the name, such as an id.
    detail: str = ""
    # Further words that find it.
    keywords: str = ""
    method: str = "get"
    field: tuple[str, str] = ("", "")

    @property
    def is_action(self) -> bool:
        """Whether it changes something."""
        return self.method == "post"

    def matches(self, words: Iterable[str]) -> bool:
        """Whether each of the words, in lower case, occurs in it."""
        text = f"{self.name} {self.detail} {self.keywords}".casefold()
        return all(word in text for word in words)


# Functions that return further actions of a viewer, and pages outside of the navigation. They run
# no statements, or a few where something is unusual, such as armed faults.
COMMANDS: list[Callable[[Viewer], Iterable[Command]]] = []

# Functions that return the objects that a text names, at most MAX_FOUND of each kind: only what the
# viewer may see, by indexed columns, in a constant number of statements.
LOOKUPS: list[Callable[[Viewer, str], Iterable[Command]]] = []

"""What goes to a handler, what comes back, and the one exception for a call that came to nothing.

The words that `transport` and everything above it speak. No ORM, no Django, no aiohttp.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request, ready to be sent; the repr shows no headers, which have the token."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response; the body as received, up to the cap of the call."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    truncated: bool


class CallFailed(Exception):
    """A call without a complete answer; `str()` is a sentence that a person can act on.

    `answer` is what had arrived by then. It is for display only: a status in it is no verdict.
    `told` is the sentence for somebody who mustn't learn where the handler is.
    """

    def __init__(self, sentence: str, answer: Answer | None = None, *, told: str = "") -> None:
        super().__init__(sentence)
        self.answer = answer
        self.told = told or sentence

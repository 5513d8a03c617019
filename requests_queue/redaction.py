"""Redaction: what is stored of other programs' texts has MASK in place of secrets. No Django.

By form: secrets of API keys, signatures of tokens, user names and passwords in URLs. By value: the
secrets of an account, also as they are written in URLs, JSON and HTML. A value that is shorter than
MIN_LENGTH stays: it would be found in ordinary words.
"""

from __future__ import annotations

import html
import json
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "\N{BULLET}" * 8
MIN_LENGTH = 6

_MIN_PART = 4  # characters of a secret that a cut may not leave
_INFLATED = 64 * 1024  # bytes to which a compressed body is decompressed
_GZIP = frozenset({"gzip", "x-gzip", "deflate"})
_COMPRESSED = _GZIP | {"br", "compress", "x-compress", "zstd"}

# Each takes a whole run of characters at once (`++`), or a bounded one: the time is linear.
_KEY = re.compile(r"(SU-\d{3}-\d{3}-\d{3}(?i::|%3A|\\u003a))[^\s\"'`<>&\\]++", re.ASCII)
_TOKEN = re.compile(r"(eyJ[\w-]*+)(?:(\.[\w-]++\.)[\w-]++(?:\.[\w-]++)*+)?", re.ASCII)
_SLASHES = r"(:(?://|\\/\\/)|%3A%2F%2F)"
# The last `@` of an authority ends its user. A password may have characters that end an authority.
_USER = re.compile(
    rf"{_SLASHES}(?:(?:(?!%2F|%3F|%23)[^\s\"'<>\\/?#]){{1,2000}}(?=@|%40)"
    r"|[^\s\"'<>\\/?#@:]{0,200}+:(?!\d{1,5}[/?#])(?:[^\s\"'<>\\@:]|:(?!//)){1,200}+(?=@))",
    re.IGNORECASE,
)
_CUT_USER = re.compile(rf"{_SLASHES}[^\s\"'<>\\/?#@:]*(?::|%3A)[^\s\"'<>\\@]*\Z", re.IGNORECASE)
_CUT_URL = 2000  # characters of a URL before a cut

_SCHEME = re.compile(r"[A-Za-z]+ +(\S+)")
_KEY_SECRET = re.compile(r"(?:ApiKey )?SU-[\d-]+:(.+)", re.DOTALL)
_UNCHANGED = re.compile(r"[0-9A-Za-z._-]+")
_HEX = re.compile(r"%[0-9A-F]{2}")
# What encoders of JSON may write by its number: .NET in upper case, Go in lower case.
_NUMBERED = [
    str.maketrans({c: f"\\u{ord(c):{digits}}" for c in "\"&'+<>`"} | {"\\": "\\\\"})
    for digits in ("04X", "04x")
]
# Characters that encoders of URLs leave: those of Python, of JavaScript, of Java, of RFC 3986.
_SAFE = ("", "/", "!'()*", "!'()*/", "*", "!$'()*,;:@/?", "!$&'()*+,;=:@/?")
# The rest of a character that was cut.
_BROKEN = "\N{REPLACEMENT CHARACTER}" + "".join(map(chr, range(0xDC80, 0xDD00)))


class Redaction:
    """Replaces secrets by MASK: those of any form, and the given ones by their value."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # A text is searched for the starts of secrets, of which those of an account have few.
        self._starts = {
            part: _start(part)
            for each in secrets
            for part in _parts(each)
            if len(part) >= MIN_LENGTH
        }
        self._different = set(self._starts.values())

    def including(self, secrets: Iterable[str]) -> Redaction:
        """Return one that also replaces these secrets."""
        more = [s for s in secrets if s not in self._starts and len(s) >= MIN_LENGTH]
        return self | Redaction(more) if more else self

    def __or__(self, other: Redaction) -> Redaction:
        """Return one that replaces the secrets of both."""
        both = Redaction()
        both._starts = {**self._starts, **other._starts}
        both._different = self._different | other._different
        return both

    def text(self, text: str, *, is_cut: bool = False) -> str:
        """Return the text without secrets; `is_cut`: its end may be a part of a secret."""
        if starts := {start for start in self._different if start in text}:
            for form in self._forms(starts):
                text = text.replace(form, MASK)
        if is_cut:
            text = self._without_part(text)
        if "SU-" in text:
            text = _KEY.sub(rf"\1{MASK}", text)
        if "J" in text and "eyJ" in text:
            # A long text is searched for one character much faster than for three.
            text = _TOKEN.sub(_without_signature, text)
        if "@" in text or "%40" in text:
            text = _USER.sub(rf"\1{MASK}", text)
        return text

    def value(self, value: Any) -> Any:
        """Return a JSON value without secrets in its texts."""
        if isinstance(value, dict):
            return {self.text(key): self.value(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        return self.text(value) if isinstance(value, str) else value

    def body(self, body: bytes, encoding: str = "", *, is_cut: bool = False) -> bytes:
        """Return a body as it may be stored: the same, or without secrets and not compressed.

        `encoding` is its Content-Encoding. What is compressed and can't be read is left out.
        """
        codings = {each.strip() for each in encoding.lower().split(",")} & _COMPRESSED
        if not codings or not body:
            return self._bytes(body, is_cut=is_cut)
        if not codings <= _GZIP or "," in encoding:
            note = f"[compressed, {len(body)} bytes: left out, since it may contain secrets]"
            return note.encode()
        content, is_complete = _inflate(body)
        found = self._bytes(content, is_cut=is_cut or not is_complete)
        return body if is_complete and found == content else found

    def _bytes(self, body: bytes, *, is_cut: bool) -> bytes:
        # Without NUL, UTF-16 and UTF-32 are readable.
        text = body.decode("utf-8", "surrogateescape").replace("\0", "")
        found = self.text(text, is_cut=is_cut)
        return body if found == text else found.encode("utf-8", "surrogateescape")

    def _without_part(self, text: str) -> str:
        """Return a text that was cut without the beginning of a secret at its end."""
        readable = text.rstrip(_BROKEN)
        forms = self._forms(self._different)
        end = min((_start_of_part(readable, form) for form in forms), default=len(readable))
        if end < len(readable):
            return readable[:end] + MASK
        tail = max(0, len(text) - _CUT_URL)
        return text[:tail] + _CUT_USER.sub(rf"\1{MASK}", text[tail:])

    def _forms(self, starts: Collection[str]) -> Iterator[str]:
        """Yield the forms of the secrets with these starts."""
        secrets = (secret for secret, start in self._starts.items() if start in starts)
        # Longest first: one secret may be a part of another.
        for secret in sorted(secrets, key=len, reverse=True):
            yield from _forms(secret)


def _without_signature(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}{MASK}" if match[2] else match[0]


def _start_of_part(text: str, form: str) -> int:
    """Return where the beginning of a secret starts that the text ends with."""
    start = form[:_MIN_PART]
    at = text.find(start, max(0, len(text) - len(form)))
    while at >= 0:
        if form.startswith(text[at:]):
            return at
        at = text.find(start, at + 1)
    return len(text)


def _parts(secret: str) -> Iterator[str]:
    """Yield a secret, that of an API key, and what follows a scheme, as in `Bearer abc`."""
    yield secret
    if scheme := _SCHEME.fullmatch(secret):
        yield scheme[1]
    if key := _KEY_SECRET.fullmatch(secret):
        yield key[1]


def _start(secret: str) -> str:
    """Return the beginning of a part of a secret that no encoding changes."""
    return max(_UNCHANGED.findall(secret), key=len, default="")[:4]


@lru_cache(maxsize=4096)
def _forms(secret: str) -> list[str]:
    """Return all forms of a secret, the longest first."""
    # Of JSON too, since it may be in JSON or in a URL.
    plain = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return sorted(plain.union(*map(_encoded, plain)), key=len, reverse=True)


def _encoded(text: str) -> Iterator[str]:
    """Yield a text as it is written in JSON, in URLs and in HTML."""
    for is_ascii in (True, False):
        escaped = json.dumps(text, ensure_ascii=is_ascii)[1:-1]
        yield from (escaped, escaped.replace("/", "\\/"))
    yield from (text.translate(numbers) for numbers in _NUMBERED)
    yield html.escape(text)
    for safe in _SAFE:
        for encode in (quote, quote_plus):
            url = encode(text, safe=safe, errors="replace")
            yield from (url, _HEX.sub(lambda match: match[0].lower(), url))


def _inflate(body: bytes) -> tuple[bytes, bool]:
    """Return the beginning of a decompressed body, and whether it is all; the same if it is none.

    A small one may expand to gigabytes.
    """
    reader = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        content = reader.decompress(body, _INFLATED)
    except zlib.error:
        return body, True
    return content, not (reader.unconsumed_tail or reader.unused_data)

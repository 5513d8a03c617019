"""Secrets in texts and bodies: by form, by value, at a cut, and in compressed bodies."""

from __future__ import annotations

import gzip
import html
import json
import zlib
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from requests_queue.redaction import MASK, Redaction

KEY = "SU-123-456-789:0123456789abcdef"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl"
SECRET = 'a "long" secret+with/é&<more>'
forms = Redaction().text
values = Redaction([SECRET]).text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Authorization: ApiKey {KEY}", f"Authorization: ApiKey SU-123-456-789:{MASK}"),
        (f'{{"key": "{KEY}"}}', f'{{"key": "SU-123-456-789:{MASK}"}}'),
        (f"?key={quote(KEY, safe='')}&a=1", f"?key=SU-123-456-789%3A{MASK}&a=1"),
        ("key SU-123-456-789:0", f"key SU-123-456-789:{MASK}"),
        (f"Bearer {TOKEN}, more", f"Bearer eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.{MASK}, more"),
        (f"a=Bearer%20{TOKEN}&b", f"a=Bearer%20eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.{MASK}&b"),
        ("eyJh is no token, eyJh.eyJi neither", "eyJh is no token, eyJh.eyJi neither"),
        ("http://user:pass@host/a", f"http://{MASK}@host/a"),
        ("https://token@host", f"https://{MASK}@host"),
        ("http://user:p@ss@host", f"http://{MASK}@host"),
        ("http://user:pa/s:s?#@host", f"http://{MASK}@host"),
        (r"http:\/\/user:pass@host\/", rf"http:\/\/{MASK}@host\/"),
        ("eq(url,http%3a%2f%2fuser%3apass%40h%2Fa)", f"eq(url,http%3a%2f%2f{MASK}%40h%2Fa)"),
        ("http://host:8000/a@b https://h/@a?b@c", "http://host:8000/a@b https://h/@a?b@c"),
        ("SU-123-456-789: a user", "SU-123-456-789: a user"),
    ],
)
def test_keys_signatures_and_users_of_urls_are_found_by_their_form(text: str, shown: str) -> None:
    assert forms(text) == forms(shown) == shown


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(SECRET)[1:-1])[1:-1],
        json.dumps(SECRET)[1:-1].replace("/", r"\/"),
        quote(SECRET, safe=""),
        quote(SECRET),
        quote(SECRET, safe="").lower(),
        quote(SECRET, safe="!'()*"),
        quote_plus(SECRET),
        quote(json.dumps(SECRET)[1:-1], safe=""),
        html.escape(SECRET),
        "".join(f"\\u{ord(c):04x}" if c in '"+&<>' else c for c in SECRET),
    ],
)
def test_secret_is_found_as_it_is_written_elsewhere(written: str) -> None:
    assert values(f"({written})") == f"({MASK})"


@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        # Of a key, and what follows a scheme.
        (f"ApiKey {KEY}", "key 0123456789abcdef!", f"key {MASK}!"),
        ("Bearer canary-1", "got canary-1", f"got {MASK}"),
        # Too short, so that too much would be replaced.
        ("1", "status 1, short", "status 1, short"),
        ("short", "status 1, short", "status 1, short"),
        ("", "status 1, short", "status 1, short"),
    ],
)
def test_secret_part_of_a_value_is_replaced_if_it_is_long(
    secret: str, text: str, shown: str
) -> None:
    assert Redaction([secret]).text(text) == shown


def test_longer_secret_is_replaced_first() -> None:
    redaction = Redaction(["canary"]).including(["canary-of-another"])
    assert redaction.text("canary-of-another canary") == f"{MASK} {MASK}"


@given(st.text(min_size=6), st.text(), st.text())
def test_no_secret_is_left(secret: str, before: str, after: str) -> None:
    redacted = Redaction([secret]).text(f"{before}{secret}{after}")
    assert secret not in redacted.replace(MASK, "\0" if "\0" not in secret else "\1")


@pytest.mark.parametrize("length", [5, 10, 20, len("JWT-canary/secret-0123456789") - 1])
@pytest.mark.parametrize("encode", [str, lambda text: quote(text, safe="")])
def test_part_of_a_secret_at_a_cut_is_replaced(length: int, encode: type[str]) -> None:
    secret = "JWT-canary/secret-0123456789"
    text = f"JWT- and {encode(secret)[:length]}"
    assert Redaction([secret]).text(text, is_cut=True) == f"JWT- and {MASK}"
    assert Redaction([secret]).text(text) == text


def test_part_of_a_password_at_a_cut_is_replaced() -> None:
    assert forms("a http://user:pa", is_cut=True).startswith(f"a http://{MASK}")


def test_texts_in_json_are_replaced_and_nothing_else() -> None:
    value = {"a": [SECRET, 123456, None, True], SECRET: {"b": 1.5}}
    redaction = Redaction([SECRET, "123456"])
    assert redaction.value(value) == {"a": [MASK, 123456, None, True], MASK: {"b": 1.5}}


@pytest.mark.parametrize(
    ("body", "is_cut"),
    [
        (b"", False), (b"\xff\x00\x80", False), (b"plain", False), ("é".encode("latin-1"), False),
        # In the middle of a character.
        ("x é".encode()[:-1], True),
    ],
)  # fmt: skip
def test_body_without_secrets_is_the_same(body: bytes, is_cut: bool) -> None:
    assert Redaction([SECRET]).body(body, is_cut=is_cut) is body


def test_cut_in_a_character_hides_no_part() -> None:
    body = "x sécrète".encode()[:-3]
    assert body.endswith(b"\xc3")
    assert Redaction(["sécrète-é"]).body(body, is_cut=True) == f"x {MASK}".encode()


def test_bytes_around_a_secret_are_kept() -> None:
    body = b"\xff" + SECRET.encode() + b"\xfe"
    assert Redaction([SECRET]).body(body) == b"\xff" + MASK.encode() + b"\xfe"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be"])
def test_secret_in_utf_16_is_found(encoding: str) -> None:
    body = f"key {KEY} and canary-1".encode(encoding)
    redacted = Redaction(["canary-1"]).body(body).replace(b"\0", b"")
    assert b"0123456789abcdef" not in redacted and b"canary" not in redacted


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("Deflate", zlib.compress)]
)
def test_compressed_body_with_a_secret_is_stored_decompressed(
    encoding: str, compress: type[bytes]
) -> None:
    assert Redaction().body(compress(KEY.encode()), encoding) == f"SU-123-456-789:{MASK}".encode()
    harmless = compress(b"nothing")
    assert Redaction().body(harmless, encoding) is harmless


def test_compressed_body_that_is_not_searched_completely_is_not_kept() -> None:
    bomb = gzip.compress(100_000 * b"x" + KEY.encode())
    assert len(Redaction().body(bomb, "gzip")) == 64 * 1024
    several = gzip.compress(b"x") + gzip.compress(KEY.encode())
    assert Redaction().body(several, "gzip") == b"x"
    for encoding in ("br", "gzip, br", "zstd"):
        assert b"left out" in Redaction().body(b"\x0b\x05\x80", encoding)
    assert Redaction().body(b"plain", "utf-8") == b"plain"
    assert Redaction().body(b"plain", "gzip") == b"plain"

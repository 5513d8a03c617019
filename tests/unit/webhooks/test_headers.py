"""Custom headers: which ones a webhook may have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.http.headers import MAX_BYTES, HeaderRefused, check_headers

TOKEN = "!#$%&'*+-.^_`|~09azAZ"


def refused(headers: object) -> HeaderRefused:
    with pytest.raises(HeaderRefused) as caught:
        check_headers(headers)  # type: ignore[arg-type]
    return caught.value


def test_ordinary_headers_are_unchanged() -> None:
    headers = {"X-Tenant": "blue", "Content-Type": "application/json", "X-Empty": "", "Accept": "*"}
    assert check_headers(headers) == headers


def test_every_token_character_is_valid_in_a_name() -> None:
    assert check_headers({TOKEN: "x"}) == {TOKEN: "x"}


def test_tab_is_valid_within_value_and_outer_whitespace_is_removed() -> None:
    assert check_headers({"X-A": " a\tb \t"}) == {"X-A": "a\tb"}


NOT_NAMES = ("", " ", "X A", "X:A", "X\r\nA", "X-É", "(X)", "X/A", "X@A", 'X"A', "X\x00", "X\x7f")
CONTROLS = ("a\rb", "a\nb", "a\r\nX-Evil: 1", "a\x00b", "a\x1bb", "a\x7fb", "\n", "a\x0b")


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        *((name, "x", "name") for name in NOT_NAMES),
        *(("X-A", value, "control characters") for value in CONTROLS),
        *(("X-A", value, "ASCII") for value in ("café", "日本", "a\x85b", "\ud800")),
        *(("X-A", value, "text") for value in (1, None, True, ["x"], b"x")),
        *((name, "Bearer x", "is reserved")
          for name in ("Authorization", "authentication", "AUTHORIZATION")),
    ],
)  # fmt: skip
def test_name_or_value_that_cannot_be_sent_is_refused(name: str, value: object, part: str) -> None:
    error = refused({name: value})
    assert error.name == name
    assert part in str(error)


@pytest.mark.parametrize("name", [1, None, b"X"])
def test_names_that_are_not_text_are_refused(name: object) -> None:
    assert "name" in str(refused({name: "x"}))


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Upgrade",
        "TE",
        "Trailer",
        "Expect",
        "Keep-Alive",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Proxy-",
        "Accept-Encoding",
    ],
)
def test_connection_headers_are_refused_in_any_case(name: str) -> None:
    for spelling in (name, name.lower(), name.upper()):
        error = refused({"X-Good": "x", spelling: "x"})
        assert error.name == spelling
        assert spelling in str(error)


def test_duplicate_name_in_other_case_is_refused() -> None:
    error = refused({"X-A": "1", "x-a": "2"})
    assert error.name == "x-a"
    assert "X-A" in str(error)


def test_twenty_headers_are_valid_and_one_more_is_refused() -> None:
    twenty = {f"X-{i}": "x" for i in range(20)}
    assert len(check_headers(twenty)) == 20
    assert "at most 20" in str(refused(twenty | {"X-20": "x"}))


def test_header_may_have_4096_bytes_at_most() -> None:
    value = "x" * (MAX_BYTES - len("X-A"))
    assert check_headers({"X-A": value}) == {"X-A": value}
    error = refused({"X-A": value + "x"})
    assert error.name == "X-A"
    assert "4096" in str(error)


@pytest.mark.parametrize("headers", [None, [], "X: y", [("X", "y")], 7])
def test_value_that_is_no_mapping_is_refused(headers: object) -> None:
    assert refused(headers).name == ""


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=4))
def test_valid_headers_can_be_written_and_stay_valid(headers: dict[str, str]) -> None:
    try:
        checked = check_headers(headers)
    except HeaderRefused:
        return
    for name, value in checked.items():
        assert f"{name}: {value}".isascii()
        assert not set(name + value) & set("\r\n\x00")
    assert check_headers(checked) == checked

"""What others wrote, as text that nothing obeys: for every page that shows it."""

from __future__ import annotations

import unicodedata


def visible(value: str | bytes | memoryview) -> str:
    """Return the text with all that a terminal or a page might obey made visible.

    Bytes that are not UTF-8 become U+FFFD; control characters become their pictures, and
    what reverses or hides text becomes `[U+202E]`.
    """
    text = value if isinstance(value, str) else bytes(value).decode("utf-8", "replace")
    return "".join(map(_visible, text.replace("\r\n", "\n")))


def _visible(char: str) -> str:
    if char in "\n\t" or char.isprintable():
        return char
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if unicodedata.category(char) == "Zs":
        return char
    return f"[U+{code:04X}]"

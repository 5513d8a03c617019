"""Text from other programs, made safe to show in terminals and pages."""

from __future__ import annotations

import unicodedata


def visible(value: str | bytes | memoryview) -> str:
    """Return the text with control characters made visible.

    Bytes that are not UTF-8 become U+FFFD, control characters their symbols (U+2400), and
    characters that reverse or hide text their code points, `[U+202E]`.
    """
    text = value if isinstance(value, str) else bytes(value).decode("utf-8", "replace")
    if text.isprintable():
        return text
    return "".join(map(_visible, text.replace("\r\n", "\n")))


def _visible(char: str) -> str:
    if char in "\n\t" or char.isprintable():
        return char
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return char if unicodedata.category(char) == "Zs" else f"[U+{code:04X}]"

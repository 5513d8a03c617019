r"""RQL's `like` and `ilike` as SQL: `*` is any text, `\*` an asterisk, `\\` a backslash.

Each becomes the database's LIKE, or GLOB on SQLite if case matters: their time grows with the
product of text and pattern lengths, regardless of the number of wildcards. A regular expression
from a caller's text could take exponential time, and on SQLite would hold Python's GIL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import CharField, Lookup, TextField

if TYPE_CHECKING:
    from py_rql.exceptions import RQLFilterValueError

MAX_LENGTH = 500
# The SQL function that lowers non-ASCII letters on SQLite (registered by the app).
LOWER = "sim_lower"

_TOKEN = re.compile(r"\\\\|\\\*|\*|[^\\*]+|\\")
_IN_GLOB = re.compile(r"[*?\[]")
_IN_LIKE = re.compile(r"[\\%_]")


def pieces(text: str) -> list[str]:
    """Return the literal texts between the wildcards of a pattern: `*a*b` is `["", "a", "b"]`.

    Raises RQLFilterValueError.
    """
    if len(text) > MAX_LENGTH:
        raise _wrong(f"A pattern may have at most {MAX_LENGTH} characters.")
    found = _split(text)
    if "" in found[1:-1]:
        raise _wrong("A pattern may not have two wildcards side by side.")
    return found


def literal(text: str) -> str | None:
    """Return the text that a pattern without wildcards matches, None for other patterns."""
    found = _split(text)
    return found[0] if len(found) == 1 else None


def _split(text: str) -> list[str]:
    found = [""]
    for token in _TOKEN.findall(text):
        if token == "*":
            found.append("")
        else:
            found[-1] += token[1:] if token in (r"\\", r"\*") else token
    return found


def _wrong(sentence: str) -> RQLFilterValueError:
    # Not at the start: see filtering.py.
    from py_rql.exceptions import RQLFilterValueError

    return RQLFilterValueError(details={"error": sentence})


def condition(vendor: str, column: str, text: str, *, ignore_case: bool) -> tuple[str, str]:
    """Return the SQL that compares a column (SQL, too) with a pattern, and its one parameter.

    Raises RQLFilterValueError.
    """
    found = pieces(text)
    if vendor == "sqlite" and not ignore_case:
        # SQLite's LIKE ignores case.
        return f"{column} GLOB %s", "*".join(_IN_GLOB.sub(r"[\g<0>]", piece) for piece in found)
    if vendor == "sqlite" and not text.isascii():
        # SQLite's LIKE ignores case of ASCII letters only.
        column, found = f"{LOWER}({column})", [piece.lower() for piece in found]
    operator = "ILIKE" if ignore_case and vendor == "postgresql" else "LIKE"
    pattern = "%".join(_IN_LIKE.sub(r"\\\g<0>", piece) for piece in found)
    return f"{column} {operator} %s ESCAPE '\\'", pattern


def matches(value: str | None, text: str, *, ignore_case: bool) -> bool:
    """Return whether a value matches a pattern, outside of a database; raises RQLFilterValueError.

    Linear in the length of both.
    """
    found = pieces(text)
    if value is None:
        return False
    if ignore_case:
        value, found = value.lower(), [piece.lower() for piece in found]
    if len(found) == 1:
        return value == found[0]
    first, *inner, last = found
    if not value.startswith(first):
        return False
    at = len(first)
    for piece in inner:
        at = value.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return value.endswith(last) and len(value) - len(last) >= at


def lower(value: Any) -> Any:
    """Return a text in lower case (SQLite's `sim_lower`), other values unchanged."""
    return value.lower() if isinstance(value, str) else value


class Like(Lookup):
    """`column__rql_like=pattern`."""

    lookup_name = "rql_like"
    ignore_case: ClassVar[bool] = False
    # A pattern is not a value of the column: it may be longer.
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        column, params = self.process_lhs(compiler, connection)
        sql, pattern = condition(connection.vendor, column, self.rhs, ignore_case=self.ignore_case)
        return sql, (*params, pattern)


class ILike(Like):
    """`column__rql_ilike=pattern`, ignoring case."""

    lookup_name = "rql_ilike"
    ignore_case = True


for _field in (CharField, TextField):
    _field.register_lookup(Like)
    _field.register_lookup(ILike)

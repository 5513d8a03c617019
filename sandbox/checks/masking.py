"""Mask secrets in texts: API keys, JWT secrets, signatures of tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from urllib.parse import quote, quote_plus

from sandbox.body_masks import without_signatures
from webhooks.http.headers import MASK

# A shorter secret may be a part of ordinary words, so it is masked only where it is a whole one.
_SHORT = 6
_API_KEY = re.compile(r"(?:ApiKey )?SU-[\d-]+:(.+)", re.DOTALL)


def mask(text: str, secrets: Collection[str]) -> str:
    """Return a text with the secrets masked, also as they are written in JSON and in URLs.

    Signatures of tokens are masked in any case. Of an API key, pass the whole key: what follows
    its colon is masked wherever it is.
    """
    masked = without_signatures(text)
    # Longest first: one secret may be a part of another.
    for form in sorted({form for each in secrets for form in _forms(each)}, key=len, reverse=True):
        if len(form) >= _SHORT:
            masked = masked.replace(form, MASK)
        else:
            masked = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", MASK, masked)
    return masked


def _forms(secret: str) -> Iterator[str]:
    key = _API_KEY.fullmatch(secret)
    for part in {secret, key[1] if key else ""} - {""}:
        yield from (part, quote(part, safe=""), quote_plus(part))
        yield from (json.dumps(part, ensure_ascii=ascii)[1:-1] for ascii in (True, False))

"""Shared by the modules of connect-sdk 22: a Config of each party, and the error of a refusal."""

import logging
import warnings

from bodies import PROVIDER_KEY, URL, VENDOR_KEY

# marshmallow 2 warns on import that version 3 will be different.
warnings.simplefilter("ignore")

from connect.config import Config  # noqa: E402
from connect.exceptions import ServerError  # noqa: E402

# The package logs to stdout, which has the result.
logging.disable(logging.CRITICAL)

Refused = ServerError
# The first Config made is the one that `Conversation.add_message` uses: the vendor's.
VENDOR = Config(api_url=URL, api_key=VENDOR_KEY)
# The key as the portal shows it: the client puts `ApiKey ` before it.
DISTRIBUTOR = Config(api_url=f"{URL}/", api_key=PROVIDER_KEY.partition(" ")[2])


def only(*products, key=VENDOR_KEY):
    """Return a Config that processes these products and no other."""
    return Config(api_url=URL, api_key=key, products=list(products))


def described(error):
    return {"error_code": error.error.error_code, "errors": error.error.errors}

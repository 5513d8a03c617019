"""Shared by the scripts of connect-sdk-haxe-port: the acting account, models from bodies."""

import json

from bodies import PROVIDER_KEY, URL, VENDOR_KEY
from connect import Env
from connect.api import Query
from connect.logger import LoggerConfig
from connect.models import Model
from connect.util import Collection

Refused = BaseException


def act_as(key):
    """Act as an account: the SDK has a single environment per process."""
    Env._reset(None)
    # Without handlers it writes no files, and nothing to stdout, which has the result.
    Env.initLogger(LoggerConfig().handlers(Collection()))
    Env.initConfig(URL, key, None)


def as_vendor():
    act_as(VENDOR_KEY)


def as_distributor():
    # The key as the portal shows it: the SDK puts `ApiKey ` before it.
    act_as(PROVIDER_KEY.partition(" ")[2])


def parsed(model, body):
    """Return the model of a body."""
    return Model.parse(model, json.dumps(body))


def collection(*rows):
    collection = Collection()
    for row in rows:
        collection.push(row)
    return collection


def ids(rows):
    return [row.id for row in rows.toArray()]


def where(**words):
    """Return a plain query; `__` is a dot."""
    query = Query()
    for name, value in words.items():
        query.equal(name.replace("__", "."), value)
    return query


def by_rql(**words):
    return where(**words).forceRql(True)


def described(error):
    """The SDK throws the text of the response."""
    return json.loads(str(error))

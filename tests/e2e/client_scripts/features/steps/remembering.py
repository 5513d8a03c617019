"""A custom step: take the processed request from the library's builder."""

from behave import step


@step("the processed request is taken up again")
def take_up(context):
    context.builder = type(context.builder)({k: context.request[k] for k in ("id", "type")})


@step('the subscription is ended by a request of type "{kind}"')
def end(context, kind):
    asset = context.request["asset"]["id"]
    context.request = {}
    context.builder = type(context.builder)().with_type(kind).with_asset_id(asset)

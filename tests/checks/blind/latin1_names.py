"""Derives login names from the customer's name in Latin-1: other alphabets raise an exception."""

from sound import Handler, Orders, serve


class Latin1Names(Orders):
    def value(self, param, order):
        name = order["asset"]["tiers"]["customer"]["name"].encode("latin-1").hex()[:12]
        return f"{param['id']}-{order['id']}-{name}"


class Latin1Handler(Handler):
    orders = Latin1Names()


serve(Latin1Handler)

"""Handles purchases and cancellations; changes, suspensions and resumptions stay pending."""

from sound import Handler, Orders, serve


class PurchasesOnly(Orders):
    def pending(self):
        return [order for order in super().pending() if order["type"] in ("purchase", "cancel")]


class PurchasesHandler(Handler):
    orders = PurchasesOnly()


serve(PurchasesHandler)

"""Notes an order as seen before it is approved: after an API error it is never tried again."""

from sound import Handler, Orders, serve


class SeenBeforeDone(Orders):
    def __init__(self):
        super().__init__()
        self.seen = set()

    def fulfill(self, order_id):
        if order_id in self.seen:
            return
        self.seen.add(order_id)
        super().fulfill(order_id)


class SeenHandler(Handler):
    orders = SeenBeforeDone()


serve(SeenHandler)

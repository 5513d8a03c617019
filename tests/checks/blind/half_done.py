"""Takes an order whose parameters have values as done: a crash before the approval loses it."""

from sound import Handler, Orders, serve


class HalfDone(Orders):
    def run(self):
        for order in self.pending():
            if self.params(order):
                self.fulfill(order["id"])


class HalfDoneHandler(Handler):
    orders = HalfDone()


serve(HalfDoneHandler)

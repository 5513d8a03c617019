"""Builds parameters in a list that all threads share, without a lock: orders get others' values."""

from sound import Handler, Orders, serve


class SharedList(Orders):
    def __init__(self):
        super().__init__()
        self.values = []

    def params(self, order):
        self.values.clear()
        self.values.extend(super().params(order))
        # A call of the vendor's own system: other threads run meanwhile.
        self.call("GET", f"/requests/{order['id']}")
        return self.values

    def process(self):
        self.run()


class SharedHandler(Handler):
    orders = SharedList()


serve(SharedHandler)

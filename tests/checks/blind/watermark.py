"""Lists only what isn't older than the newest request seen: what is pending later is missed."""

from sound import Handler, Orders, serve


class Watermark(Orders):
    newest = ""

    def pending(self):
        orders = [order for order in super().pending() if order["created"] >= self.newest]
        self.newest = max([order["created"] for order in orders] + [self.newest])
        return orders


class WatermarkHandler(Handler):
    orders = Watermark()


serve(WatermarkHandler)

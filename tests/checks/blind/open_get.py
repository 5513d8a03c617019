"""Runs for each GET without asking for a token: it was meant for monitoring and cron."""

from sound import Handler, serve


class OpenGet(Handler):
    def do_GET(self):
        self.read_body()
        try:
            self.orders.process()
        except Exception:
            return self.respond(500)
        self.respond(200)


serve(OpenGet)

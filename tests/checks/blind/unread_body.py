"""Refuses a token before reading the body, which is then parsed as the next request."""

import jwt
from sound import Handler, serve


class UnreadBody(Handler):
    def do_POST(self):
        try:
            self.claims(self.token())
        except jwt.InvalidTokenError:
            return self.respond(401)
        super().do_POST()


serve(UnreadBody)

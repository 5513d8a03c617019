"""The sandbox of our cloud: the customers' environments, in memory.

It takes the place of what your handler calls when it provisions something.
"""


class CloudDown(Exception):
    """The cloud does not answer."""


class DomainTaken(Exception):
    """Another customer has the domain."""


class Cloud:
    def __init__(self):
        self.is_down = False
        self.environments = {}

    def clear(self):
        self.is_down = False
        self.environments = {}

    def create(self, owner, domain):
        """Create an environment, and return its id; for the same owner it is the same one."""
        if self.is_down:
            raise CloudDown("The cloud is down.")
        if any(e["domain"] == domain and o != owner for o, e in self.environments.items()):
            raise DomainTaken(domain)
        self.environments.setdefault(owner, {"domain": domain, "status": "running"})
        return f"env-{owner}"

    def set_status(self, owner, status):
        if self.is_down:
            raise CloudDown("The cloud is down.")
        self.environments[owner]["status"] = status

    def delete(self, owner):
        if self.is_down:
            raise CloudDown("The cloud is down.")
        self.environments.pop(owner, None)

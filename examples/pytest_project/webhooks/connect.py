"""A small client of Connect's API."""

import requests


class Connect:
    def __init__(self, api_url, api_key):
        self.api_url, self.headers = api_url, {"Authorization": api_key}

    def get(self, path):
        return self.call("GET", path)

    def put(self, path, body):
        return self.call("PUT", path, body)

    def post(self, path, body):
        return self.call("POST", path, body)

    def call(self, method, path, body=None):
        """Return the decoded response; raises requests.RequestException."""
        response = requests.request(
            method, self.api_url + path, json=body, headers=self.headers, timeout=30
        )
        response.raise_for_status()
        return response.json() if response.content else None

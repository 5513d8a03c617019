"""From a queue change to recorded attempts: fan-out, claims, requests, recording and retry."""

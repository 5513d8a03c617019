"""Checks of a webhook handler, through the published HTTP endpoints of a sandbox. No Django.

To be read in this order: `model` (check, result, report) and `options`, `client` (HTTP, also of the
commands), `platform` (the sandbox, as a check sees it), `lab` (one check's events and requests),
`catalog` (the checks), `runner` (which runs them), `verdicts`, `outputs` (reports).
"""

"""Extensions: tasks for CloudBlue's runner `cextrun`. Only in a sandbox.

They are made for the same queue changes that call webhooks. Read `definitions` (the event types),
`models`, `fan_out` (tasks for changes), `schedules` and `interactive` (other tasks), `dispatch`
(claims and results), `messages` and `gateway` (the websocket of runners), then `actions` and `api`.
"""

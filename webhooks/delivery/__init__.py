"""The way of a delivery, from a queue change to the stored result.

In reading order: `fan_out` inserts events and deliveries, `claim` says which may start, `attempt`
sends one, `request` is what is sent, `record` stores the results, `retry` decides what follows.
`engine` is the loop around them, `wakeup` tells it when to look. `validators` and `resend` use the
same parts.
"""

"""Live pages: server-sent events say which topics of an open page have changed."""

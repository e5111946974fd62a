"""Asterisk's manager interface: one connection that is always read and never given up.

`protocol` is panoramisk's, mended; `link` keeps a connection alive in a thread of its own; `inbox` takes what comes,
so that no reader of it can slow the connection down.
"""

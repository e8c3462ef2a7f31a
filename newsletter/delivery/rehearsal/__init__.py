"""A whole dispatch, tried out: a real outbox, real SMTP over loopback, a server with faults, and a verdict that is counted.

faults    what goes wrong how often, drawn from a seed
sink      the server: accepts, refuses, goes silent, hangs up, and counts what it really took
child     the dispatch, in a process of its own that may be killed
rehearse  one after the other until everybody has been dealt with, then the verdict
"""

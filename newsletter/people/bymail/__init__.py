"""Mail alone: people unsubscribe, subscribe and pause by writing to the project's mailbox, without a web server.

`commands` reads what a mail asks for and is pure; `handling` does it, and
writes back where that is safe.
"""

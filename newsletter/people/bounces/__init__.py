"""Bounces and complaints: what comes back after a message went out, whose it is, and what it means for a person.

`reading` turns bytes into what a report says, and `classify` its codes and
words into hard, soft or policy; both are pure.  `maildir` and `imap` are where
reports come from, `judging` says whose they are (proof), `scan` goes through a
mailbox, and `failures` judges what the mail server refused while we were
sending.  When it is one too many the store decides, in the transaction that
remembers it (`store.bounces`).
"""

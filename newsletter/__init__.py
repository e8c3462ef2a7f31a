"""Reads feeds, gathers what is new, and mails it to the people who asked for it."""

__version__ = "0.1.0"

"""Coming from other tools: which feeds they read, and what of them they had sent.

`brought` says what a tool leaves us; `rss2email`, `goeland` and `matcha` read its
files, none of which is changed; `bolt` reads the database that goeland keeps.
"""

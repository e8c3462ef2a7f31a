"""The parts of the documents that the program itself knows best, written by `make docs`.

`commands` knows every command as the command line has it; `markdown` makes
docs/reference/commands.md of that, `manual` docs/man/newsletter.1.  `settings` sees to the
tables of docs/settings.md.
"""

"""`explain` for entries, issues and feeds, from what was written down when it was decided.

`finding` says what is meant, `entries` why an entry is in an issue or in none,
`issues` what one has and could have had, `feeds` what a feed gave and when it failed.
"""

"""The archive as files: past issues as a site that any web server, or none, can show.

`pages` says which files there are and what is in each, `tree` files entries by
day and source, `writing` puts them into a folder and leaves alone what has not changed.
"""

"""The editor's page: the next issue in a browser, as a subscriber would get it.

choice    what the page asks for: which issue, as whom, with what hidden
answers   what it is told, as plain values
desk      who answers (a protocol; `app.desk` is the one there is)
server    loopback HTTP around a desk, and who may talk to it
watching  which saved files the page hears of
frozen    the same page as files
page/     the page itself: HTML, CSS and JavaScript, written by hand
"""

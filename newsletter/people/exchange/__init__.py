"""Lists of people from and for other tools.

records   a table, record by record        standing  may this person be mailed?
tools     whose list it is, by its header   rows      what each row says            yamlrows  the same of a YAML file
merge     who is added, changed, suppressed, left out, and why                      rejects   rows to be corrected
writing   the people as a table or a file   guard     cells that are no formulas    spool     what waits on disk
"""

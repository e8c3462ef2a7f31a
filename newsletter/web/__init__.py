"""The public pages: what readers can do by themselves, and past issues for everybody.

site      what the pages need to know of the project            ports     whom they ask: memory, people, post
members   what a person may change, decided here                signups   from the form to the list, by way of a mail
copies    an issue as a page; the archive; its Atom feed        pages     the pages' HTML, in the reader's language
personal  the pages behind personal links                       public    the pages for everybody
admission who may ask, how often, how much                      limits    how often somebody may do something
discretion  what a log may say
stamps    when a form was given out, signed                     server    HTTP around all that
"""

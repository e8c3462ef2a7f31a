"""The whole program on one machine, without a network: sample feeds in, caught e-mail out.

`feeds` serves the samples over loopback HTTP and `catcher` takes the place of a
mail server, so that `newsletter demo` runs the same stages as a real send.
"""

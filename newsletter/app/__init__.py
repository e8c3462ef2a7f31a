"""The composition root: the only place that reads the config and picks concrete classes.

`project.App` is an opened project; the modules beside it are what the commands
do with one, a file per purpose.  Nothing here prints.
"""

from newsletter.app.project import App

__all__ = ["App"]

"""How `make docs` builds the site: Sphinx reads the Markdown that forges show, and needs no network for it."""

from newsletter import __version__

project = "newsletter"
author = "the authors of newsletter"
version = release = __version__
# The same source makes the same bytes: no year and no date of building.
copyright = "MIT licence"  # noqa: A001 - Sphinx's name
html_last_updated_fmt = None
html_show_sphinx = False

extensions = ["myst_parser"]
exclude_patterns = ["making", "systemd", "man"]
# Links to headings are those of forges; a link that leads nowhere fails the build.
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]

html_theme = "furo"
html_title = f"newsletter {__version__}"
# Type of the reader's own machine: nothing is fetched from anywhere, neither here nor in the browser.
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
html_static_path = ["looks"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
pygments_style = "tango"
pygments_dark_style = "github-dark"

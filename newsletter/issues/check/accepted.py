"""What the built-in letters use although some clients lack it, and why that does no harm.

The ratchet of `clients`: a feature that is not here, or a client that is not
named for it, is a finding.  Add a line only with a reason that a reader of that
client would accept.
"""

from typing import Final

#: Feature → the clients that may lack it, and what their readers get instead.
ACCEPTED: Final[dict[str, tuple[str, str]]] = {
    "css:at-media": (
        "gmail outlook-windows outlook yahoo samsung thunderbird proton",
        "small screens: without it the one column is fluid anyway",
    ),
    "css:at-media-prefers-color-scheme": (
        "gmail outlook-windows yahoo thunderbird proton gmx",
        "dark mode: without it the letter is light, or the client inverts it",
    ),
    "css:at-supports": (
        "gmail outlook-windows outlook thunderbird proton gmx",
        "an extra for clients that know it; the letter is whole without it",
    ),
    "css:background-color": ("gmx", "GMX drops it in a few places; every text is dark on white without it"),
    "css:border": ("outlook-windows", "frames are drawn with corners of their own, or not at all"),
    "css:border-radius": ("outlook-windows yahoo gmx", "corners are square without it"),
    "css:border-spacing": ("outlook-windows outlook", "the table attribute cellspacing says the same"),
    "css:box-sizing": ("gmail outlook-windows yahoo", "a table's width counts its padding anyway"),
    "css:direction": ("gmail", "the attribute dir says the same"),
    "css:display": ("gmail outlook-windows yahoo gmx", "`block` on pictures: without it a small gap below"),
    "css:display-none": ("gmail outlook-windows", "hides the preheader; where it fails, a line of small text shows"),
    "css:font-size": (
        "outlook-windows yahoo samsung gmx",
        "sizes in px are known everywhere; the other units are what is lacking",
    ),
    "css:font-weight": ("outlook-windows yahoo", "bold and normal are known everywhere; numbers are what is lacking"),
    "css:height": ("outlook-windows yahoo", "`auto` only: without it pictures keep the height they were given"),
    "css:letter-spacing": ("outlook-windows", "letters stand as usual without it"),
    "css:line-height": ("outlook-windows", "lines stand a little closer or wider"),
    "css:list-style": ("gmail outlook-windows outlook yahoo proton", "lists have their usual marks without it"),
    "css:margin": (
        "gmail outlook-windows outlook yahoo",
        "distances differ; negative margins and auto are what is lacking",
    ),
    "css:max-height": (
        "outlook-windows",
        "tall pictures are shown whole; the preheader is hidden by other means as well",
    ),
    "css:max-width": ("outlook-windows", "Outlook for Windows gets a table of 600 pixels in a comment for it"),
    "css:min-width": ("outlook-windows", "columns shrink to their text without it"),
    "css:opacity": ("gmail outlook-windows yahoo gmx", "one of several ways to hide the preheader"),
    "css:overflow": (
        "apple gmail outlook-windows outlook yahoo samsung proton gmx",
        "one of several ways to hide the preheader",
    ),
    "css:overflow-wrap": (
        "apple gmail outlook-windows outlook yahoo",
        "word-break, and breaks put into long words, do the same",
    ),
    "css:padding": ("outlook-windows", "Outlook for Windows knows it on table cells, where the distances are"),
    "css:pseudo-class-hover": (
        "gmail outlook-windows outlook yahoo gmx",
        "a link's underline stays when the mouse is over it",
    ),
    "css:pseudo-class-not": (
        "gmail outlook-windows outlook yahoo proton gmx",
        "headings of a table in a feed stand as the client likes",
    ),
    "css:pseudo-element-marker": (
        "gmail outlook-windows outlook proton",
        "numbers of a list have the colour of its text",
    ),
    "css:text-align": ("gmail outlook-windows outlook yahoo samsung gmx", "the attribute align says the same"),
    "css:text-decoration": (
        "gmail outlook-windows proton gmx",
        "links are underlined, or not, by the client's own taste",
    ),
    "css:text-transform": ("outlook-windows", "letters stay as they are without it"),
    "css:white-space": (
        "gmail outlook-windows yahoo samsung gmx",
        "long lines of code are broken by the client, or scroll",
    ),
    "css:width": ("outlook-windows", "Outlook for Windows takes the attribute of the same name"),
    "css:word-break": ("apple gmail outlook yahoo samsung proton gmx", "long words break at the places put into them"),
    "css:word-wrap": ("gmail outlook-windows outlook", "word-break, and breaks put into long words, do the same"),
    "html:abbr": ("outlook-windows yahoo", "its text is shown without the tooltip"),
    "html:aria-hidden": ("yahoo thunderbird gmx", "screen readers read a line of blanks without it"),
    "html:aria-label": ("yahoo thunderbird gmx", "screen readers read the link's words instead"),
    "html:bdi": ("gmail outlook-windows outlook yahoo gmx", "names in another direction stand at the client's guess"),
    "html:dfn": ("outlook-windows", "its text is shown in the usual type"),
    "html:dir": ("gmail outlook-windows gmx", "repeated on the cells, and `align` sets the side where it is dropped"),
    "html:lang": ("yahoo gmx", "screen readers read with the voice of the client's language"),
    "html:lists": ("gmail outlook-windows outlook yahoo", "list items keep their text; marks and indents differ"),
    "html:mailto-links": ("yahoo proton", "the address opens in another program"),
    "html:meta-color-scheme": (
        "apple gmail outlook-windows outlook yahoo samsung proton gmx",
        "the colours of dark mode stand in the style sheet",
    ),
    "html:role": ("yahoo gmx", "the article is announced as plain text"),
    "html:rp": ("gmail outlook-windows gmx", "the reading stands in brackets after the word"),
    "html:rt": ("gmail outlook-windows gmx", "the reading stands after the word"),
    "html:ruby": ("gmail outlook-windows gmx", "the reading stands after the word"),
    "html:semantics": ("gmail outlook-windows outlook yahoo gmx", "times, figures and captions keep their text"),
    "html:strike": ("gmail", "its text is shown without the line"),
    "html:style": ("gmail outlook-windows proton gmx", "all that is needed stands in style attributes"),
    "html:wbr": ("gmail outlook-windows gmx", "long words break where the client likes"),
    "image:apng": ("gmail outlook-windows outlook", "the feed chose the picture; its alt text stands in"),
    "image:avif": ("gmail outlook-windows gmx", "the feed chose the picture; its alt text stands in"),
    "image:bmp": ("gmail gmx", "the feed chose the picture; its alt text stands in"),
    "image:heif": (
        "gmail outlook-windows outlook yahoo samsung thunderbird proton gmx",
        "the feed chose the picture; its alt text stands in",
    ),
    "image:ico": ("outlook-windows", "the feed chose the picture; its alt text stands in"),
    "image:svg": ("gmail", "the feed chose the picture; its alt text stands in"),
    "image:tiff": (
        "gmail outlook-windows outlook yahoo samsung thunderbird proton gmx",
        "the feed chose the picture; its alt text stands in",
    ),
    "image:webp": ("gmail outlook-windows", "the feed chose the picture; its alt text stands in"),
}

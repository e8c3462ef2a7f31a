"""Arguments and options that several commands share."""

from typing import Annotated

import typer

DigestArgument = Annotated[
    str | None, typer.Argument(help="Which digest; may be left out where there is one.", show_default=False)
]

NoteFlag = Annotated[
    str | None,
    typer.Option(
        "--note", metavar="TEXT", help="The editor's note, as Markdown; @FILE reads a file.", show_default=False
    ),
]

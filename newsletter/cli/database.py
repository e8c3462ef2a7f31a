"""`db`: the store itself."""

import typer

from newsletter.cli.session import Session, command

group = typer.Typer(name="db", help="The project's database.", no_args_is_help=True, rich_markup_mode=None)


def info(session: Session) -> None:
    """Say where the database is, its schema, and how much is in it."""
    found = session.app.store.info()
    if session.json:
        session.out.data(found)
        return
    session.out.table(
        ("what", "value"),
        [
            ("address", found.url_masked),
            ("schema", found.schema),
            ("size", f"{found.size:,} bytes"),
            *found.counts.items(),
        ],
    )


def migrate(session: Session) -> None:
    """Bring an older database to this version's schema."""
    schema = session.app.migrate()
    if session.json:
        session.out.data({"schema": schema})
    session.out.say(f"the database is at schema {schema}")


command(group, "info")(info)
command(group, "migrate")(migrate)

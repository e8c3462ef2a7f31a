"""The tables of what issues were made from, beside their entries."""

from sqlalchemy import Column, ForeignKey, Table

from newsletter.store.columns import metadata
from newsletter.store.types import Json, Text

# As JSON (`model.Recipe.made`), with what its templates are called and the hash of the text of each.
recipes = Table(
    "recipes",
    metadata,
    Column("issue_id", ForeignKey("issues.id"), primary_key=True),
    Column("made", Json, nullable=False),
    Column("templates", Json, nullable=False),
)

# Texts of templates by their SHA-256: most issues have the same.
template_texts = Table(
    "template_texts",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("text", Text, nullable=False),
)

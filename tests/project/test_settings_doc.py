"""docs/settings.md names every setting there is."""

import re

import pytest
from pydantic import BaseModel

from newsletter.config import schema
from newsletter.people.entry import KEYS
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (.*?) \|", TEXT, re.MULTILINE))))


@pytest.mark.parametrize(
    "block",
    [
        schema.ProjectBlock,
        schema.FeedBlock,
        schema.DigestBlock,
        schema.SmtpBlock,
        schema.DkimBlock,
        schema.BouncesBlock,
        schema.ImapBlock,
        schema.SubscribeBlock,
        schema.ArchiveBlock,
    ],
)
def test_every_setting_of_a_block_is_described(block: type[BaseModel]) -> None:
    assert {field.alias or name for name, field in block.model_fields.items()} - NAMED == set()


def test_every_key_of_a_person_is_described() -> None:
    assert set(KEYS) - NAMED == set()

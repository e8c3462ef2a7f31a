"""`sections` puts a digest's feeds in an order, and `pictures` says where pictures come from."""

import sys
from pathlib import Path

import pytest

from newsletter.config import parse_project
from newsletter.errors import ConfigError

HEAD = """\
title: Wire
from: Wire <wire@example.com>
feeds:
  - {url: https://a.example/rss, title: Alpha, tags: [news]}
  - https://b.example/rss
  - {url: https://c.example/rss, title: Gamma, tags: [town]}
  - {url: https://d.example/rss, title: Delta, tags: [town, news]}
"""


def order(digest: str) -> str:
    """The feeds of the one digest, each as the letter of its host."""
    config = parse_project(f"{HEAD}digests:\n  daily: {digest}\n", Path("newsletter.yaml").absolute())
    return "".join(feed.url[8] for feed in config.digest().feeds)


def refusal(digest: str) -> str:
    with pytest.raises(ConfigError) as caught:
        order(digest)
    return str(caught.value)


@pytest.mark.parametrize(
    ("digest", "expected"),
    [
        ("{}", "abcd"),
        ("{sections: [Gamma, https://b.example/rss]}", "cbad"),
        ("{sections: [town]}", "cdab"),
        ("{sections: [delta, news, town]}", "dacb"),
        ("{feeds: [Alpha, Delta], sections: [Delta]}", "da"),
        ("{group_by: tag, sections: [town]}", "cdab"),
    ],
)
def test_sections_named_come_first_and_the_others_follow(digest: str, expected: str) -> None:
    assert expected == order(digest)


def test_a_section_that_is_nothing_is_named_with_its_line_and_the_nearest() -> None:
    assert "newsletter.yaml:9: " in refusal("{sections: [Gama]}")
    assert "there is no feed and no tag Gama in this digest" in refusal("{sections: [Gama]}")
    assert "Gamma" in refusal("{sections: [Gama]}")
    assert "no feed and no tag Gamma in this digest" in refusal("{feeds: [Alpha], sections: [Gamma]}")


def test_an_order_of_sections_needs_sections() -> None:
    assert "means nothing with `group_by: none`" in refusal("{group_by: none, sections: [town]}")


def test_pictures_are_linked_left_out_or_carried() -> None:
    assert ["abcd", "abcd", "abcd"] == [order(f"{{pictures: {how}}}") for how in ("link", "none", "cid")]
    assert "pictures" in refusal("{pictures: some}")


def test_carried_pictures_need_pillow_and_the_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)

    assert (
        "newsletter.yaml:9: digests.daily.pictures: cid needs Pillow, which is not installed: "
        'pip install "newsletter-press[pictures]"'
    ) == refusal("{pictures: cid}")
    assert "abcd" == order("{pictures: link}")

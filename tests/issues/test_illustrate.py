"""Which pictures a letter brings along: in the order of its entries, each once, as long as there is room."""

import re
from dataclasses import replace

from newsletter.issues.illustrate import illustrated, standalone, used_in
from newsletter.issues.pictures import fetchable_url
from newsletter.issues.render import Renderings, Templates, render_issue
from newsletter.model import Draft, Enclosure, MissingPicture, Picture
from tests.issues.samples import MASTHEAD, RULES, TOKEN, draft_of, entry

CID = replace(RULES, pictures="cid")
HOST = "https://gazette.example/"


def picture(name: str, size: int = 1000, width: int = 1072) -> Picture:
    data = (name.encode() * size)[:size]
    return Picture(cid=f"{name}@example.com", media_type="image/png", data=data, width=width, height=90)


def cid_draft(*images: str | None) -> Draft:
    """A draft whose entries have these pictures, in this order."""
    waiting = [entry(n, image=image and HOST + image, content=f"<p>{n}</p>") for n, image in enumerate(images, 1)]
    return draft_of(waiting, rules=CID)


def found(**pictures: Picture | str) -> dict[str, Picture | str]:
    return {HOST + name: picture for name, picture in pictures.items()}


def html_of(draft: Draft, theme: str = "default") -> str:
    return render_issue(draft, MASTHEAD, Templates(theme=theme), token=TOKEN).html


def test_an_entry_names_the_picture_to_embed_and_shows_none_until_it_is_there() -> None:
    content = '<p>Told. <img src="https://gazette.example/2.jpg" alt="x" width="500" height="300"></p>'
    draft = draft_of([entry(1, content=content), entry(2, image=HOST + "3.jpg", content=content)], rules=CID)

    assert [HOST + "2.jpg", HOST + "3.jpg"] == [one.to_embed for one in draft.entries]
    assert [None, None] == [one.image for one in draft.entries]
    assert "<img" not in html_of(draft)
    assert [None] == [one.to_embed for one in draft_of([entry(1, image=HOST + "3.jpg")]).entries]


def test_a_picture_only_we_can_get_is_named_too() -> None:
    own_port = "http://nas.example:8080/x.png"
    enclosure = Enclosure(url=own_port, media_type="image/png")
    draft = draft_of(
        [entry(1, image=own_port), entry(2, image="http://news.example/x", enclosures=(enclosure,))], rules=CID
    )

    assert [own_port, "https://news.example/x"] == [one.to_embed for one in draft.entries]
    assert [None] == [one.image for one in draft_of([entry(1, image=own_port)]).entries]
    for url in (
        "http://ada:secret@nas.example:8080/",
        "http://nas.example:bad/",
        "ftp://nas.example:8080/",
        "data:x",
        None,
    ):
        assert fetchable_url(url, None) is None


def test_pictures_stand_in_the_letter_at_their_width_and_no_wider_than_the_column() -> None:
    draft = illustrated(cid_draft("wide", "small", None), found(wide=picture("wide"), small=picture("small", width=90)))

    assert [("cid:wide@example.com", 536), ("cid:small@example.com", 90), (None, None)] == [
        (one.image, one.image_width) for one in draft.entries
    ]
    shown = re.findall(r'<img [^>]*src="([^"]+)"[^>]*width="(\d+)"', html_of(draft))
    assert [("cid:wide@example.com", "536"), ("cid:small@example.com", "90")] == shown


def test_the_same_picture_is_brought_along_once() -> None:
    draft = illustrated(cid_draft("a", "b", "a"), found(a=picture("same"), b=picture("same")))

    assert [picture("same")] == list(draft.pictures)
    assert ["cid:same@example.com"] * 3 == [one.image for one in draft.entries]


def test_what_does_not_fit_is_left_out_in_the_order_of_the_entries() -> None:
    pictures = found(a=picture("a", 600), b=picture("b", 600), c=picture("c", 300), d=picture("a", 600))
    draft = illustrated(cid_draft("a", "b", "c", "d"), pictures, total_limit=1000)

    assert ["a@example.com", "c@example.com"] == [one.cid for one in draft.pictures]
    assert ["cid:a@example.com", None, "cid:c@example.com", "cid:a@example.com"] == [one.image for one in draft.entries]
    reason = "the letter would have more than 1,000 bytes of pictures"
    assert (MissingPicture(url=HOST + "b", reason=reason),) == draft.missing_pictures
    assert f"picture {HOST}b: {reason}; left out" == str(draft.missing_pictures[0])


def test_what_could_not_be_had_is_named_once_and_leaves_no_frame() -> None:
    draft = illustrated(cid_draft("gone", "gone", "odd"), found(gone="it is gone"))

    assert [("gone", "it is gone"), ("odd", "it was not fetched")] == [
        (one.url.removeprefix(HOST), one.reason) for one in draft.missing_pictures
    ]
    assert "<img" not in html_of(draft)


def test_a_letter_of_another_theme_shows_none_and_needs_none() -> None:
    draft = illustrated(cid_draft("a"), found(a=picture("a")))

    assert (picture("a"),) == used_in(html_of(draft), draft.pictures)
    assert () == used_in(html_of(draft, "compact"), draft.pictures)


def test_two_languages_show_the_same_pictures() -> None:
    draft = illustrated(cid_draft("a"), found(a=picture("a")))
    renderings = Renderings(draft, MASTHEAD, Templates(), token=TOKEN)
    english, german = renderings.for_everybody("en"), renderings.for_everybody("de")

    assert english.html != german.html
    assert used_in(english.html, draft.pictures) == used_in(german.html, draft.pictures) == draft.pictures


def test_a_page_of_its_own_has_its_pictures_in_it() -> None:
    draft = illustrated(cid_draft("a", "b"), found(a=picture("a", 3), b=picture("b", 3)))
    page = standalone(html_of(draft), draft.pictures)

    assert ["data:image/png;base64,YWFh", "data:image/png;base64,YmJi"] == re.findall(r'<img [^>]*src="([^"]+)"', page)
    assert "cid:" not in page

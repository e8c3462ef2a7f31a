"""Quoted-printable in pieces decodes to what was encoded, in lines that nothing on the way touches."""

import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.quoting import quote_piece, quote_value

#: Texts that are mostly what breaks quoted-printable.
texts = st.lists(
    st.one_of(
        st.sampled_from(
            ["\n", "\r\n", "\r", ".", "..", "From ", "=", "=3D", " ", "\t", "é", "東京", "\U0001f4ec", "x" * 73, "\0"]
        ),
        st.text(max_size=20),
    ),
    max_size=30,
).map("".join)


def plain(text: str) -> str:
    """The text as a reader gets it: line ends are LF, and what is no character is a question mark."""
    return text.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")


def read(encoded: bytes) -> str:
    return quopri.decodestring(encoded).decode().replace("\r\n", "\n")


@given(st.lists(st.tuples(st.booleans(), texts), min_size=1, max_size=8))
def test_pieces_and_values_join_to_the_text_they_were(parts: list[tuple[bool, str]]) -> None:
    parts.append((False, "\n"))
    # A CR LF that falls between two pieces is two line ends: pieces are cut at fields, which stand between them.
    encoded = b"".join(quote_value(text) if is_value else quote_piece(text) for is_value, text in parts)

    assert "".join(plain(text) for _, text in parts) == read(encoded)
    lines = encoded.split(b"\r\n")
    assert b"" == lines[-1]
    assert all(len(line) <= 76 for line in lines)
    assert not [line for line in lines if line.startswith((b".", b"From ")) or line.endswith((b" ", b"\t"))]
    assert encoded.isascii()
    assert b"\n" not in encoded.replace(b"\r\n", b"")
    assert b"\r" not in encoded.replace(b"\r\n", b"")


@given(texts)
def test_a_value_is_the_same_text_the_quick_way(text: str) -> None:
    assert read(quote_piece(text)) == read(quote_value(text))


@given(st.text(st.characters(exclude_characters="\r\n"), max_size=25))
def test_a_short_line_is_encoded_like_the_middle_of_a_long_one(line: str) -> None:
    # "x" on both sides takes away what is special about the ends of a line.
    middle = quote_piece("x" * 40 + "\n" + "x" * 3 + line + "x" * 40 + "\n").replace(b"=\r\n", b"")
    alone = quote_piece("xxx" + line + "x\n").replace(b"=\r\n", b"")

    assert middle.partition(b"\r\n")[2].removesuffix(b"x" * 39 + b"\r\n") == alone.removesuffix(b"\r\n")


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("", b""),
        ("plain\n", b"plain\r\n"),
        ("plain", b"plain=\r\n"),
        (".hidden\n", b"=2Ehidden\r\n"),
        ("From here\n", b"=46rom here\r\n"),
        ("a=b\n", b"a=3Db\r\n"),
        ("end \n", b"end=20\r\n"),
        ("é\n", b"=C3=A9\r\n"),
        ("x" * 76 + "\n", b"x" * 75 + b"=\r\nx\r\n"),
        ("x" * 75 + ".x\n", b"x" * 75 + b"=\r\n=2Ex\r\n"),
        ("x" * 74 + "é\n", b"x" * 74 + b"=\r\n=C3=A9\r\n"),
    ],
)
def test_lines_come_out_as_the_standard_has_them(text: str, encoded: bytes) -> None:
    assert encoded == quote_piece(text)


def test_the_last_piece_needs_no_soft_line_break() -> None:
    assert (b"end", b"") == (quote_piece("end", last=True), quote_piece("", last=True))

"""Whatever a server sends becomes a small, plain, upright picture, or a reason."""

import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from newsletter.errors import FetchError
from newsletter.feeds.shrink import shrink
from tests.painted import drawing, encoded, jpeg, noise, opened, photograph

PROFILE = b"a profile that names its owner" * 40


def reason(body: bytes, **limits: int) -> str:
    with pytest.raises(FetchError) as caught:
        shrink(body, **limits)
    return str(caught.value)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_a_photograph_becomes_a_jpeg_of_twice_the_column(form: str) -> None:
    body = encoded(photograph((1600, 900)), form)
    if form == "TIFF":
        assert "no picture in JPEG, PNG, GIF, WebP or AVIF" in reason(body)
        return
    made = shrink(body)

    assert ("image/jpeg", 1072, 603) == (made.media_type, made.width, made.height)
    assert (1072, 603) == opened(made.data).size
    assert len(made.data) <= 150_000


def test_a_small_one_keeps_its_size_and_a_tall_one_gets_a_limit() -> None:
    assert (300, 200) == opened(shrink(jpeg((300, 200))).data).size
    assert 2144 == opened(shrink(jpeg((500, 4000))).data).height


def test_the_same_bytes_give_the_same_picture() -> None:
    for body in (jpeg(), encoded(drawing(), "PNG"), encoded(drawing(), "GIF")):
        assert shrink(body) == shrink(body)


def test_a_drawing_stays_a_drawing() -> None:
    made = shrink(encoded(drawing((900, 600)), "PNG"))
    image = opened(made.data).convert("RGB")

    assert "image/png" == made.media_type
    assert len(made.data) < 5_000
    assert [(255, 255, 255), (255, 215, 0), (0, 0, 128)] == [
        image.getpixel(at) for at in ((2, 2), (30, 30), (200, 150))
    ]


def test_what_is_transparent_stays_so() -> None:
    image = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    image.paste((200, 30, 30, 255), (100, 100, 300, 300))
    for form in ("PNG", "WEBP"):
        made = shrink(encoded(image, form, lossless=True))
        found = opened(made.data).convert("RGBA")

        assert "image/png" == made.media_type
        assert [0, 255] == [found.getpixel(at)[3] for at in ((10, 10), (200, 200))]  # type: ignore[index]
    opaque = photograph((400, 400)).convert("RGBA")
    assert "image/jpeg" == shrink(encoded(opaque, "PNG")).media_type


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright_and_tells_nothing_of_its_camera(orientation: int) -> None:
    upright = Image.new("RGB", (600, 300), "white")
    upright.paste("red", (0, 0, 60, 60))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x0110] = "Camera of Ada Lovelace"
    body = encoded(stored, "JPEG", exif=exif, comment=b"written by Ada", icc_profile=PROFILE)
    assert b"Ada Lovelace" in body

    made = shrink(body)
    image = opened(made.data)
    red, green, _ = image.getpixel((20, 20))  # type: ignore[misc]
    assert ((600, 300), True) == (image.size, red > 200 and green < 60)
    assert [] == [word for word in (b"Ada", b"Camera", b"profile", b"Exif") if word in made.data]
    assert {} == dict(image.getexif())


def test_metadata_of_a_png_stays_behind() -> None:
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    told.add_text("Author", "Ada Lovelace")
    body = encoded(drawing(), "PNG", pnginfo=told, icc_profile=PROFILE, exif=b"Exif\0\0Ada")

    assert b"Ada" in body
    assert [] == [word for word in (b"Ada", b"iCCP", b"tEXt", b"eXIf") if word in shrink(body).data]


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_shows_its_first_frame(form: str) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue", "green")]
    body = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    made = shrink(body)
    image = opened(made.data)
    red, _, blue = image.convert("RGB").getpixel((30, 30))  # type: ignore[misc]

    assert (True, True) == (red > 200, blue < 60)
    assert 1 == getattr(image, "n_frames", 1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16", "YCbCr"])
def test_every_kind_of_pixel_is_taken(mode: str) -> None:
    form = "TIFF" if mode == "x" else "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    source = photograph((320, 240))
    image = Image.new("I;16", (320, 240), 30_000) if mode == "I;16" else source.convert(mode)

    assert (320, 240) == opened(shrink(encoded(image, form)).data).size


def test_what_is_too_large_loses_quality_then_size_and_is_refused_at_last() -> None:
    body = encoded(noise(), "PNG")
    made = shrink(body)

    assert len(made.data) <= 150_000
    assert made.width < 1072
    assert made.width == opened(made.data).width
    transparent = noise()
    transparent.putalpha(Image.linear_gradient("L").resize(transparent.size))
    assert len(shrink(encoded(transparent, "PNG")).data) <= 150_000
    assert "cannot be made smaller than 1,000 bytes" in reason(body, largest=1_000)


@pytest.mark.parametrize("exif", [b"Exif\0\0Ada", b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12", b"\0" * 9])
def test_a_camera_that_says_nonsense_spoils_no_picture(exif: bytes) -> None:
    """Pillow warns of some of it, and warnings are errors here."""
    for form in ("JPEG", "PNG", "WEBP"):
        assert (300, 200) == opened(shrink(encoded(photograph((300, 200)), form, exif=exif)).data).size


# ------------------------------------------------------------------------------ hostile


def png_that_claims(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG's head that promises so many pixels (RFC 2083)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_a_bomb_is_not_unpacked() -> None:
    """A few hundred KB that stand for gigabytes, and numbers beyond what Pillow itself would take."""
    for width, height in ((30_000, 30_000), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1)):
        told = reason(png_that_claims(width, height, zlib.compress(bytes(10_000_000), 9)))
        assert ("pixels, more than 25,000,000" in told) or ("damaged" in told), told
    gif = encoded(Image.new("P", (8, 8)), "GIF")
    assert "more than" in reason(gif[:6] + struct.pack("<HH", 65_535, 65_535) + gif[10:])


def test_a_jpeg_of_endless_scans_is_not_read() -> None:
    body = encoded(photograph((64, 64)), "JPEG", progressive=True)
    scan = body[body.rindex(b"\xff\xda") : -2]

    assert "made to take long" in reason(body[:-2] + scan * 500 + body[-2:])
    assert (64, 64) == opened(shrink(body).data).size


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
def test_half_a_picture_is_none(form: str) -> None:
    body = encoded(photograph((300, 300)), form)

    assert reason(body[: len(body) // 2])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>404</body></html>",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"%PDF-1.7",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\xff\xff\xff\xffWEBPVP8 ",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
    ],
    ids=["nothing", "html", "svg", "pdf", "gif", "png", "jpeg", "webp", "eps"],
)
def test_what_is_no_picture_is_named_so(body: bytes) -> None:
    assert reason(body).startswith("it is ")


@pytest.mark.parametrize("size", [(1, 1), (2, 600), (600, 1)])
def test_counters_and_spacers_are_none(size: tuple[int, int]) -> None:
    assert "nothing to see" in reason(encoded(Image.new("RGB", size), "PNG"))


SAMPLES = [encoded(photograph((48, 48)), form) for form in ("JPEG", "PNG", "GIF", "WEBP", "AVIF")]


@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8))
def test_damaged_bytes_are_a_picture_or_a_reason(body: bytes, changes: list[tuple[int, int]]) -> None:
    broken = bytearray(body)
    for place, value in changes:
        broken[place % len(broken)] = value
    try:
        made = shrink(bytes(broken), most_pixels=1_000_000)
    except FetchError:
        return
    assert Image.open(BytesIO(made.data)).format in ("JPEG", "PNG")

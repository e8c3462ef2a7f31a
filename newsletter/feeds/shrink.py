"""From whatever a server sent to a small picture that every mail program shows.

The bytes are hostile: only a few decoders get to see them, never more pixels
than there is memory for, and nothing of theirs is passed on but the pixels.
The same bytes give the same picture.  Pillow is loaded at first use.
"""

import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from newsletter.errors import FetchError

if TYPE_CHECKING:
    from PIL.Image import Image

#: Twice the letter's column, so that it is sharp on every screen; and no taller than twice that.
WIDEST: Final = 1072
TALLEST: Final = 2 * WIDEST
LARGEST: Final = 150_000
MOST_PIXELS: Final = 25_000_000
#: A side of fewer pixels is no picture but a counter or a spacer.
_SMALLEST: Final = 8
_FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP", "AVIF")
#: A drawing, not a photograph: stays sharp, and is smaller so.
_FEW_COLOURS: Final = 128
_PALETTE: Final = 256
_QUALITIES: Final = (80, 70, 60, 50)
_SCALES: Final = (1.0, 0.8, 0.64, 0.5, 0.4, 0.3)
#: Every scan of a progressive JPEG goes over all pixels again; real ones have about ten.
_MOST_SCANS: Final = 100
_SCAN: Final = b"\xff\xda"
_ORIENTATION: Final = 0x0112
#: From here on an orientation lies on its side.
_ON_ITS_SIDE: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """A picture ready to be embedded; sizes in pixels."""

    media_type: str
    data: bytes = field(repr=False)
    width: int
    height: int


def shrink(body: bytes, *, largest: int = LARGEST, most_pixels: int = MOST_PIXELS) -> Shrunk:
    """Make a picture small and plain: upright, still, without metadata, JPEG or PNG.

    Args:
        body: what a server sent.
        largest: how many bytes it may have in the end.
        most_pixels: more than these are not looked at.

    Raises:
        FetchError: it is no picture, too large a one, or one that cannot be made small enough.
    """
    if body.count(_SCAN) > _MOST_SCANS:
        raise FetchError("it is made to take long to read")
    try:
        with warnings.catch_warnings():
            # What a decoder finds odd is nobody's concern but ours; we are alone in its thread.
            warnings.simplefilter("ignore")
            image = _decoded(body, most_pixels)
            for kind, data, shown in _attempts(image):
                if len(data) <= largest:
                    return Shrunk(media_type=kind, data=data, width=shown.width, height=shown.height)
    except FetchError:
        raise
    except Exception as error:  # decoders raise whatever they like
        raise FetchError(f"it is damaged ({type(error).__name__})") from error
    raise FetchError(f"it cannot be made smaller than {largest:,} bytes")


@cache
def _pillow() -> Any:
    """Pillow's module, with the decoders of our formats and no others."""
    from PIL import AvifImagePlugin, Image, WebPImagePlugin  # noqa: F401 - loading them registers their formats

    Image.preinit()
    # Counted here, and it would only warn.
    Image.MAX_IMAGE_PIXELS = None
    return Image


def _decoded(body: bytes, most_pixels: int) -> Any:
    """The first frame, upright, at most as large as it is shown, in RGB or RGBA."""
    pillow = _pillow()
    from PIL import UnidentifiedImageError

    try:
        image = pillow.open(BytesIO(body), formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise FetchError("it is no picture in JPEG, PNG, GIF, WebP or AVIF") from error
    width, height = image.size
    if width * height > most_pixels:
        raise FetchError(f"it has {width:,} × {height:,} pixels, more than {most_pixels:,} in all")
    if min(width, height) < _SMALLEST:
        raise FetchError(f"it has {width} × {height} pixels: nothing to see")
    # After the count: for some formats this reads the whole picture.
    orientation = _orientation(image)
    is_drawing = False
    if image.format not in ("JPEG", "MPO"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        is_drawing = image.getcolors(_FEW_COLOURS) is not None
    box = (TALLEST, WIDEST) if orientation in range(_ON_ITS_SIDE, 9) else (WIDEST, TALLEST)
    image.thumbnail(box, pillow.Resampling.LANCZOS, reducing_gap=3.0)
    upright = _upright(image, orientation)
    if upright.mode == "RGBA" and upright.getchannel("A").getextrema()[0] == 255:  # noqa: PLR2004 - opaque
        upright = upright.convert("RGB")
    upright = upright if upright.mode in ("RGB", "RGBA") else upright.convert("RGB")
    # What the encoders would copy from here: comments, profiles.
    upright.info = {"drawing": is_drawing}
    return upright


def _orientation(image: Any) -> int:
    """How the camera was held; 1, upright, where it does not say or cannot be read."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except (ArithmeticError, EOFError, LookupError, SyntaxError, TypeError, ValueError, struct.error):
        return 1
    return found if isinstance(found, int) else 1


def _upright(image: Any, orientation: int) -> Any:
    """The picture as it was meant to be held (Exif 2.3, tag Orientation)."""
    turn = _pillow().Transpose
    turns = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _attempts(image: "Image") -> Iterator[tuple[str, bytes, "Image"]]:
    """Encodings of a picture, the best first, each smaller than the one before; at last a small one."""
    is_drawing = bool(image.info.pop("drawing"))
    is_transparent = image.mode == "RGBA"
    for scale in _SCALES:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        shown = image if scale == 1 else image.resize(size, _pillow().Resampling.LANCZOS)
        if is_transparent and scale == 1:
            yield "image/png", _encoded(shown, "PNG"), shown
        if is_transparent or (is_drawing and scale == 1):
            method = _pillow().Quantize.FASTOCTREE if is_transparent else _pillow().Quantize.MEDIANCUT
            yield "image/png", _encoded(shown.quantize(_PALETTE, method=method), "PNG"), shown
        if not is_transparent:
            for quality in _QUALITIES:
                yield "image/jpeg", _encoded(shown, "JPEG", quality=quality, optimize=True), shown


def _encoded(image: "Image", form: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()

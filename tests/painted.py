"""Pictures for tests, painted when they are asked for."""

from io import BytesIO
from typing import Any

from PIL import Image

Size = tuple[int, int]


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    """A picture as the bytes of a file."""
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def photograph(size: Size = (1600, 900)) -> Image.Image:
    """Many colours in soft shapes: what JPEG is for."""
    across, down = Image.linear_gradient("L").resize(size), Image.linear_gradient("L").rotate(90).resize(size)
    return Image.merge("RGB", (across, down, Image.radial_gradient("L").resize(size)))


def noise(size: Size = (1072, 1072)) -> Image.Image:
    """What no encoder can make small."""
    return Image.merge("RGB", [Image.effect_noise(size, 120) for _ in range(3)])


def drawing(size: Size = (900, 600)) -> Image.Image:
    """Four colours with hard edges."""
    image = Image.new("RGB", size, "white")
    image.paste("navy", (size[0] // 8, size[1] // 8, size[0] // 2, size[1] // 2))
    image.paste("crimson", (size[0] // 3, size[1] // 3, size[0] - 20, size[1] - 20))
    image.paste("gold", (10, 10, 60, 60))
    return image


def jpeg(size: Size = (1600, 900), **options: Any) -> bytes:
    """A photograph as a camera would give it."""
    return encoded(photograph(size), "JPEG", quality=92, **options)


def opened(data: bytes) -> Image.Image:
    """A picture read back, whole."""
    image = Image.open(BytesIO(data))
    image.load()
    return image

"""The letter still looks as in its reference pictures."""

import base64

import pytest
from playwright.sync_api import Browser

from newsletter.app.letters import Letter
from tests.proof.pictures import FOLDER, LARGEST, MADE_WITH, major, pictures

pytestmark = pytest.mark.xdist_group("proof")

#: Other fonts move every line; a changed colour or a lost block shows as more than this, of 255, on average.
TOLERANCE = 12.0

#: The mean difference of two pictures' pixels, 0 to 255.
DIFFERENCE = """async ([one, other]) => {
  const pixels = async data => {
    const image = await createImageBitmap(new Blob([Uint8Array.from(atob(data), c => c.charCodeAt(0))]));
    const canvas = new OffscreenCanvas(image.width, image.height), context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, image.width, image.height);
  };
  const [a, b] = [await pixels(one), await pixels(other)];
  if (a.width !== b.width || a.height !== b.height) return 255;
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += Math.abs(a.data[i] - b.data[i]);
  return sum / (a.data.length * 3 / 4);
}"""


def difference(running: Browser, one: bytes, other: bytes) -> float:
    page = running.new_page()
    try:
        return float(page.evaluate(DIFFERENCE, [base64.b64encode(png).decode() for png in (one, other)]))
    finally:
        page.close()


def test_there_are_six_pictures_and_none_is_large() -> None:
    names = {f"letter-{width}-{scheme}.png" for width in (320, 600, 1024) for scheme in ("light", "dark")}

    assert names == {path.name for path in FOLDER.glob("*.png")}
    assert [] == [path.name for path in FOLDER.glob("*.png") if path.stat().st_size >= LARGEST]


def test_the_letter_looks_as_in_its_pictures(browser: Browser, letters: dict[str, Letter]) -> None:
    made_with = MADE_WITH.read_text(encoding="utf-8").strip()
    if major(browser) != made_with:
        pytest.skip(f"the pictures are by Chromium {made_with}, and this is {major(browser)}: make pictures")

    now = dict(pictures(browser, letters["sample"]))

    apart = {name: difference(browser, png, (FOLDER / name).read_bytes()) for name, png in now.items()}
    assert {} == {name: far for name, far in apart.items() if far > TOLERANCE}


def test_light_and_dark_are_told_apart(browser: Browser) -> None:
    light, dark = ((FOLDER / f"letter-600-{scheme}.png").read_bytes() for scheme in ("light", "dark"))

    assert difference(browser, light, light) == 0
    assert difference(browser, light, dark) > TOLERANCE

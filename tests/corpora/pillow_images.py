"""Compares what relabel makes of images with Pillow itself: `python -m tests.corpora.pillow_images FOLDER`.

FOLDER is Tests/images of Pillow's source distribution (`pip download --no-binary :all: --no-deps pillow`). An image
that Pillow decodes and relabel refuses is a fault, unless its format is one of LEFT_OUT. Not part of the gate: the
files are not ours.
"""

import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from relabel.data.images.formats import LEFT_OUT
from relabel.data.images.picture import Fit, decode_picture
from relabel.errors import RowRejected

MAX_PIXELS = 2 * 89_478_485
"""What Pillow decodes by its own default, at most."""


def main(folder: Path) -> int:
    """The exit code: 1 where an image is refused, or looks otherwise, without a reason that is named."""
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    faults = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        theirs = pillow(path)
        ours = relabel(path.read_bytes())
        outcome = compare(theirs, ours)
        counts[outcome] += 1
        if outcome in ("refused", "other size", "other pixels"):
            faults.append(f"{outcome}: {path.relative_to(folder)}: {ours if isinstance(ours, str) else ''}")
    print(*faults, sep="\n")
    print(", ".join(f"{name} {number}" for name, number in counts.most_common()))
    return bool(faults)


def pillow(path: Path) -> Image.Image | str:
    """The picture as Pillow gives it, or the name of its format where it is left out, or "none"."""
    try:
        with Image.open(path) as image:
            if image.format in LEFT_OUT:
                return "of a format that is left out"
            image.load()
            return image.copy()
    except Exception:  # noqa: BLE001  whatever Pillow raises, the file is none that it decodes
        return "none"


def is_turned(image: Image.Image) -> bool:
    try:
        return image.getexif().get(0x0112, 1) != 1
    except Exception:  # noqa: BLE001  notes that are damaged turn nothing
        return False


def relabel(data: bytes) -> Image.Image | str:
    try:
        return decode_picture(data, max_pixels=MAX_PIXELS, fit=Fit(num_pixels=MAX_PIXELS))
    except RowRejected as rejected:
        return str(rejected)


def compare(theirs: Image.Image | str, ours: Image.Image | str) -> str:
    if isinstance(theirs, str):
        if isinstance(ours, str):
            return "refused by both" if theirs == "none" else theirs
        return "read by relabel alone"
    if isinstance(ours, str):
        return "refused"
    if sorted(theirs.size) != sorted(ours.size):
        return "other size"
    is_plain = theirs.mode in ("1", "L", "RGB", "CMYK", "YCbCr", "P") and not theirs.has_transparency_data
    if is_plain and theirs.size == ours.size and not is_turned(theirs):
        return "equal" if np.array_equal(np.asarray(theirs.convert("RGB")), np.asarray(ours)) else "other pixels"
    return "read, of equal size"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

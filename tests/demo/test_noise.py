"""The noise loses nothing: the reader below turns every noisy alt text back into its caption."""

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from relabel.demo.noise import FILES, FILLERS, PLAIN, TAILS, TYPOS, noisy
from relabel.demo.scene import BACKGROUNDS, COLOURS, KINDS, RADII, random_scene

MEANING = {typo: word for word, typos in TYPOS.items() for typo in typos} | {word: word for word in TYPOS}


def read(text: str) -> str:
    """What a careful person makes of an alt text: known words in order, regrouped by the grammar of captions."""
    words = [MEANING[word] for word in re.findall(r"[a-z]+", text.lower()) if word in MEANING]
    *shapes, background, last = words
    assert last == "background"
    assert background in BACKGROUNDS
    assert len(shapes) % 5 == 0
    said = []
    for first in range(0, len(shapes), 5):
        size, colour, kind, *place = shapes[first : first + 5]
        assert (size in RADII, colour in COLOURS, kind in KINDS) == (True, True, True)
        said.append(f"a {size} {colour} {kind} at the {' '.join(place)}")
    return f"A{', '.join(said)[1:]}, on a {background} background."


@given(st.integers(min_value=0, max_value=2**63))
def test_every_alt_text_can_be_read_back(seed):
    rng = random.Random(seed)
    caption = random_scene(rng).caption
    assert read(noisy(caption, rng)) == caption


def test_an_alt_text_is_never_the_caption_already():
    rng = random.Random(1)
    captions = [random_scene(rng).caption for _ in range(2000)]
    assert not any(noisy(caption, rng) == caption for caption in captions)


def test_a_typo_means_one_word_only():
    typos = [typo for typos in TYPOS.values() for typo in typos]
    added = {word for text in (*FILLERS, *FILES, *TAILS) for word in re.findall(r"[a-z]+", text.lower())}
    assert len(typos) == len(set(typos))
    assert not set(typos) & {*TYPOS, *PLAIN, *added}
    assert not added & set(TYPOS)
    assert all(len(typos) >= 5 for typos in TYPOS.values())


def test_every_kind_of_noise_occurs():
    rng = random.Random(2)
    texts = [noisy(random_scene(rng).caption, rng) for _ in range(500)]
    assert any(text.isupper() for text in texts)
    assert any(re.fullmatch(r"[A-Za-z_]+\.(jpg|png|JPEG)", text) for text in texts)
    assert any(text.startswith("IMG_") for text in texts)
    assert any("photo of" in text for text in texts)
    assert any(set(re.findall(r"[a-z]+", text)) & (MEANING.keys() - TYPOS.keys()) for text in texts)

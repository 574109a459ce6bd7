"""Noisy alt text made from a clean caption, as people and upload forms make it.

It is always recoverable. Every word of a caption stays, in order, as itself or as a typo of `TYPOS`; a typo is listed
there only if no other word, typo, filler or file name could have been meant. What is added comes from `FILLERS` and
`FILES`, which share no word with captions. Only words that the grammar of captions puts back (`PLAIN`) are left
out, and case, spaces and punctuation carry nothing. Knows nothing of images, datasets or models.
"""

from __future__ import annotations

import random
import re
from collections import Counter

from relabel.demo.scene import BACKGROUNDS, COLOURS, KINDS, PLACES, RADII

PLAIN = ("a", "at", "the", "on")
"""Words that a caption has by its grammar alone."""
CONTENT = tuple(dict.fromkeys([*RADII, *COLOURS, *KINDS, *" ".join(PLACES).split(), *BACKGROUNDS, "background"]))
FILLERS = (
    "um", "like", "basically", "really", "nice", "very cool", "photo of", "picture of", "image of",
    "you can see", "i think", "just", "here is",
)  # fmt: skip
FILES = ("IMG_{n:04d}.jpg", "DSC{n:05d}.JPG", "image ({n}).png", "photo-{n}.jpeg", "untitled_{n}.png", "final_v{n}.jpg")
TAILS = ("!!!", " ...", " #shapes", " (stock photo)", " - copy", " ?")


def _misspellings(word: str) -> set[str]:
    swapped = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    doubled = {word[:i] + word[i] + word[i:] for i in range(len(word))}
    dropped = {word[:i] + word[i + 1 :] for i in range(len(word))}
    return (swapped | doubled | dropped) - {word}


def _typos() -> dict[str, tuple[str, ...]]:
    added = re.findall(r"[a-z]+", " ".join([*FILLERS, *FILES, *TAILS]).lower())
    taken = {*PLAIN, *CONTENT, *added}
    meanings = Counter(typo for word in CONTENT for typo in _misspellings(word))
    return {
        word: tuple(sorted(typo for typo in _misspellings(word) if meanings[typo] == 1 and typo not in taken))
        for word in CONTENT
    }


TYPOS = _typos()
"""The ways each content word may be misspelt: two letters swapped, one doubled or one dropped, without a doubt."""


def noisy(caption: str, rng: random.Random) -> str:
    """Alt text that says what the caption says, never in the same letters."""
    words = re.findall(r"[a-z]+", caption.lower())
    if rng.random() < 0.3:
        words = [word for word in words if word not in PLAIN]
    words = _misspelt(words, rng, rate=rng.choice((0.0, 0.1, 0.3)))
    words = _shouted(words, rng)
    if rng.random() < 0.25:
        return rng.choice("_-").join(words) + rng.choice((".jpg", ".png", ".JPEG"))
    words = _filled(words, rng, num_fillers=rng.choice((0, 1, 2)))
    text = " ".join(words)
    if rng.random() < 0.4:
        text = rng.choice(FILES).format(n=rng.randrange(1, 9999)) + rng.choice((": ", " - ", " ")) + text
    if rng.random() < 0.3:
        text += rng.choice(TAILS)
    return text


def _misspelt(words: list[str], rng: random.Random, rate: float) -> list[str]:
    return [rng.choice(TYPOS[word]) if word in TYPOS and rng.random() < rate else word for word in words]


def _shouted(words: list[str], rng: random.Random) -> list[str]:
    style = rng.choice(("quiet", "quiet", "quiet", "loud", "titled", "patchy"))
    if style == "loud":
        return [word.upper() for word in words]
    if style == "titled":
        return [word.capitalize() for word in words]
    if style == "patchy":
        return [word.upper() if rng.random() < 0.3 else word for word in words]
    return words


def _filled(words: list[str], rng: random.Random, num_fillers: int) -> list[str]:
    words = list(words)
    for _ in range(num_fillers):
        words.insert(rng.randrange(len(words)), rng.choice(FILLERS))
    return words

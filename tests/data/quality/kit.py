"""Labels to measure: good ones, looping ones, refusals, rejects, and captions with the frequencies of a language."""

from hypothesis import strategies as st

from relabel.data.quality.measure import measure

LOOP = "round and " * 20
NOTHING = "parse: the model wrote nothing"
LABELS = st.sampled_from([None, "a cat", "a  cat", "a dog", "a red star", LOOP, "I can't help with that"])
ENDS, REASONS = st.sampled_from([None, "stop", "length"]), st.sampled_from([NOTHING, "parse: not JSON"])
ROWS = st.lists(st.tuples(LABELS, ENDS, LABELS | st.just(""), REASONS), max_size=20)


def measured(rows, first=0, with_old=True):
    """Rows of a label, why it ended, an old label, and why there is none where there is none."""
    texts, ends, old = ([row[at] for row in rows] for at in range(3))
    reasons = [row[3] if row[0] is None else None for row in rows]
    return measure(texts, ends, range(first, first + len(rows)), old if with_old else None, reasons)


def captions(rng, num_rows, num_words=30):
    """Sentences of made-up words, a few of which are very frequent."""
    return [" ".join(f"w{min(int(rng.paretovariate(0.7)), 20_000)}" for _ in range(num_words)) for _ in range(num_rows)]

"""The limits of a run against its figures: a sentence for each limit that is exceeded.

Knows figures that were counted, not how; must never decide what follows from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from relabel.data.quality.examples import Reference
from relabel.data.quality.figures import Quality
from relabel.spec import Gate

_SHARES = {
    "empty": "for {} of the rows the model wrote nothing",
    "truncated": "{} of the labels are cut off by max_new_tokens",
    "repeated": "{} of the labels repeat themselves",
    "refused": "{} of the labels refuse to answer",
    "duplicates": "{} of the labels are duplicates of others",
    "changed": "{} of the labels differ from the old ones",
    "unchanged": "{} of the labels are the same as the old ones",
}


def exceeded(gates: Mapping[str, Gate], quality: Mapping[str, Quality], *, rows: int, rejected: int) -> list[str]:
    """What is over its limit, for the labels by name; the name of a single one is empty, and its rejects are the rows'.

    A row with several labels is rejected for any of them, so there each counts the rows without a label of its own.
    Where there is nothing to divide by, no limit is exceeded; where there are rows and no label, that alone is said,
    whatever the limits.
    """
    found = []
    for name, gate in gates.items():
        figures = quality.get(name, Quality())
        missing = rows - figures.num_labels if name else rejected
        place = f"labels.{name}" if name else "label"
        if rows and missing == rows:
            found.append(f"no row has a label{f' {name}' * bool(name)}: all {rows} are rejected")
        else:
            found += _exceeded(f"{place}.gate", gate, figures, missing / rows if rows else 0)
    return found


def _exceeded(place: str, gate: Gate, quality: Quality, rejected: float) -> Iterator[str]:
    rates = quality.rates()
    if (limit := gate.max_rejected) is not None and rejected > limit:
        yield _sentence("{} of the rows have no label", rejected, f"{place}.max_rejected", limit)
    for kind, what in _SHARES.items():
        limit, rate = getattr(gate, f"max_{kind}"), rates[kind]
        if limit is not None and rate is not None and rate > limit:
            sentence = _sentence(what, rate, f"{place}.max_{kind}", limit)
            yield sentence + _examples(quality.examples.get(kind, ()))
    limit, rate = gate.max_length_drift, rates["length_drift"]
    if limit is not None and rate is not None and abs(rate) > limit:
        than = "longer" if rate > 0 else "shorter"
        yield _sentence(f"the labels are {{}} {than} than the old ones", abs(rate), f"{place}.max_length_drift", limit)
    limit, rate = gate.max_vocabulary_drift, rates["vocabulary_drift"]
    if limit is not None and rate is not None and rate > limit:
        what = "the words of the labels are {} away from those of the old ones"
        yield _sentence(what, rate, f"{place}.max_vocabulary_drift", limit)


def _sentence(what: str, figure: float, key: str, limit: float) -> str:
    """With as many digits as tell the two apart, up to 0.0001 %."""
    shown = allowed = ""
    for digits in range(1, 5):
        shown, allowed = (f"{100 * share:.{digits}f} %" for share in (figure, limit))
        if shown != allowed:
            break
    return f"{what.format(shown)}, the limit is {key} {allowed}"


def _examples(references: tuple[Reference, ...]) -> str:
    return f": for example {', '.join(f'{file} row {row}' for file, row in references)}" if references else ""

"""Whatever a model may write, and more: a label that fits, or a reject that quotes nothing."""

import json
import random
import re

import pyarrow as pa
import pytest

from relabel.data.labels.arrow_types import label_types
from relabel.data.labels.parsers import make_parser
from relabel.errors import RowRejected
from tests.data.labels.parsing import LABELS

SECRET = "qzxj"
REASONS = re.compile(
    r"parse: (the model wrote nothing|the pattern (matches nothing|took more than 1 s)|none of the choices|not JSON"
    r"|JSON has no (NaN|-?Infinity)|the JSON (ends too early|has a key twice|is nested too deeply|is no object)"
    r"|a (number|value|text) [a-z0-9 ]+|an integer is beyond 64 bits"
    r"|the JSON does not fit its schema( at \$[\w.*\[\]]{0,100} \(\w+\))?)"
)
NASTY = [
    "[" * 100_000,
    '{"a":' * 100_000,
    "[" * 200 + "]" * 200,
    '{"counts": ' * 60 + "1" + "}" * 60,
    '{"caption": ' + "9" * 5000 + "}",
    "-" + "9" * 5000,
    '{"a": -' + "9" * 308 + "}",
    '{"b": 1' + "0" * 308 + "}",
    "[1e400]",
    '{"a": 1e300}',
    '{"a": 0.1e1}',
    '{"a": true, "b": "\\udfff"}',
    '{"\\udfff": 1}',
    "NaN",
    "[NaN, -Infinity]",
    "```" * 10_000,
    "```\n" * 10_001,
    '"' * 10_000,
    "\\" * 10_000,
    "\x00",
    "\ud800: 5",
    "x: \u0665\u0666",
    "a" * 100_000,
    "\n" * 10_000 + "yes",
    '{"caption": "a", "score": 1e308, "tree": {"kids": [{"kids": []}]}}',
    '{"caption": "a", "shapes": [' + '{"size": 1},' * 500 + '{"size": 1}]}',
]
VALID = [
    f"{SECRET}: 12mm",
    f"I think\n**Not sure**\n{SECRET}\nyes",
    json.dumps({"caption": SECRET, "score": 1.5, "shapes": [{"size": 2, "red": True}, {"size": 1}], "tree": {}}),
    json.dumps({"caption": "a", "day": "2024-01-01", "counts": {SECRET: 1, "b": 2}, SECRET: None}),
    json.dumps({"caption": "é", "tree": {"kids": [{"kids": []}], SECRET: 1}}),
    json.dumps({"a": 10**18, "b": {SECRET: [1, 2.5, None, "\ud83d"]}}),
    json.dumps([1, -2.5e-3, 10**25]),
    f'{SECRET} {{it}}\n```json\n{{"a": 1, "b": "```"}}\n```',
]
PIECES = ["{", "}", "[", "]", '"', ":", ",", "\\", "\\u", "\\ud800", "0", "-", "e9", ".", "NaN", "null", "true", "```"]


WORDS = ["caption", "score", "shapes", "size", "red", "day", "counts", "tree", "kids", "a", "b", SECRET]
SCALARS = [
    None,
    True,
    False,
    0,
    1,
    2,
    2.0,
    0.5,
    -0.0,
    2**63,
    -(2**63),
    10**400,
    1e308,
    float("nan"),
    "",
    SECRET,
    "\ud800",
]


def strange_value(draw: random.Random, depth: int = 4) -> object:
    """A value in the words of the schemas, mostly of the wrong kinds."""
    kind = draw.choice([dict, dict, list, None]) if depth else None
    if kind is None:
        return draw.choice([*SCALARS, "2024-02-30", "2024-02-29", draw.randint(-(2**70), 2**70), draw.gauss(0, 1e9)])
    parts = [strange_value(draw, depth - 1) for _ in range(draw.randint(0, 4))]
    return dict(zip(draw.sample(WORDS, len(parts)), parts, strict=True)) if kind is dict else parts


def strange_text(draw: random.Random) -> str:
    """Random characters, or a good answer that was cut, spliced and strewn with pieces."""
    if draw.random() < 0.2:
        ends = draw.choice([0x80, 0x3000, 0xFFFF, 0x10FFFF])
        return "".join(chr(draw.randint(0, ends)) for _ in range(draw.randint(0, 30)))
    value = strange_value(draw)
    text = draw.choice([*VALID, json.dumps(value), json.dumps({"caption": SECRET, "a": value}, ensure_ascii=False)])
    for _ in range(draw.choice([0, 0, 1, 2, 3])):
        start, end = sorted(draw.choices(range(len(text) + 1), k=2))
        piece = draw.choice([*PIECES, "", "", text[start:end] * 2, chr(draw.randint(0, 0xFFFF)), draw.choice(VALID)])
        text = text[:start] + piece + text[draw.choice([start, start, min(start + 1, len(text)), end]) :]
    return text


@pytest.mark.parametrize("name", LABELS)
def test_any_of_10_000_strange_texts_is_a_label_that_fits_or_a_reject_that_quotes_nothing(name):
    label, draw = LABELS[name], random.Random(name)
    parse, types = make_parser(label), label_types(label)
    found, reasons = [], set()
    for number in range(10_000):
        text = NASTY[number] if number < len(NASTY) else strange_text(draw)
        try:
            found.append(parse(text))
        except RowRejected as reject:
            reasons.add(str(reject))
    assert len(found) > 100
    for column, type in types.items():
        values = [label[column] for label in found]
        assert pa.array(values, type).to_pylist() == values
    assert all(list(label) == list(types) for label in found)
    assert not [reason for reason in reasons if not REASONS.fullmatch(reason) or SECRET in reason]
    assert len(reasons) < 60

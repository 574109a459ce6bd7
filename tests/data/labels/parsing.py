"""Labels of every kind, and what their parsers make of a text."""

from relabel.data.labels.parsers import make_parser
from relabel.errors import RowRejected
from relabel.spec import Label

SCENE = {
    "$defs": {"tree": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}},
    "type": "object",
    "properties": {
        "caption": {"type": "string", "minLength": 1},
        "score": {"type": ["number", "null"], "multipleOf": 0.5},
        "shapes": {
            "type": "array",
            "uniqueItems": True,
            "items": {
                "type": "object",
                "properties": {"size": {"enum": [1, 2]}, "red": {"type": "boolean"}},
                "required": ["size"],
            },
        },
        "day": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "tree": {"$ref": "#/$defs/tree"},
    },
    "required": ["caption"],
}
RULES = {
    "properties": {"caption": {"not": {"const": ""}}, "counts": {"propertyNames": {"maxLength": 4}}},
    "patternProperties": {
        "^s": {"anyOf": [{"contains": {"type": "number"}, "minContains": 2}, {"multipleOf": 1e-300}]}
    },
    "dependentRequired": {"day": ["size"]},
    "dependentSchemas": {"kids": {"maxProperties": 2}},
    "if": {"required": ["red"]},
    "then": {"oneOf": [{"required": ["tree"]}, {"required": ["a"]}]},
    "unevaluatedProperties": {"type": ["integer", "string", "object"], "unevaluatedProperties": False},
}
LABELS = {
    "text": Label(),
    "last_line": Label(parse="last_line"),
    "regex": Label(parse="regex", pattern=r"(?P<name>\w+): (?P<value>\d+)(?P<unit>mm)?"),
    "match": Label(parse="regex", pattern=r"\d+|[a-z]*", column="number", constrain=False),
    "choice": Label(parse="choice", choices=["yes", "no", "Not sure", "5*", "+"]),
    "object": Label(parse="json", json_schema=SCENE),
    "anything": Label(parse="json", json_schema={}),
    "untyped_object": Label(parse="json", json_schema={"properties": {"a": {"type": "integer"}, "b": {}}}),
    "rules": Label(parse="json", json_schema=RULES),
    "list": Label(parse="json", json_schema={"type": "array", "items": {"type": ["integer", "number"]}}),
}


def taken(text, label):
    """The label, or the reason in its place."""
    if not isinstance(label, Label):
        label = Label(parse="json", json_schema=label)
    try:
        return make_parser(label)(text)
    except RowRejected as reject:
        return str(reject)

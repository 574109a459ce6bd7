"""The JSON-Schema-Test-Suite against labels: no invalid value becomes a label, no valid object is refused.

Where a schema can hold a model to it, random texts are drawn by its grammar, too: the parser has to take each.

    pip download --no-binary :all: --no-deps jsonschema && tar xzf jsonschema-*.tar.gz
    python -m tests.corpora.json_schema_suite jsonschema-*/json

Not part of the gate. Exit code 1 where a value is judged otherwise than the suite says, or a text is not taken, beside
the limits named here.
"""

import json
import random
import sys
from collections import Counter
from pathlib import Path

from relabel.data.labels.parsers import make_parser
from relabel.data.labels.validator import Validator
from relabel.engine.api.constraint import Constraint, check_constraint
from relabel.errors import ArgumentRefused, RowRejected
from relabel.spec import Label
from relabel.spec.schemas.json_schema import load_schema
from tests.job.held import written

DRAFTS = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
LIMITS = {
    "format.json": "formats are checked, which the main suite takes for notes",
}
"""Files of the suite whose values are judged otherwise on purpose."""
NUM_TEXTS = 8
"""That are drawn for each schema."""
TEXT_LIMITS = ("the JSON has a key twice", "beyond 64 bits", "nested too deeply")
"""What no grammar can count; docs/guide/labels.md names them."""


def judge(path: Path, draft: str, figures: Counter) -> None:
    for group in json.loads(path.read_text(encoding="utf-8")):
        schema = group["schema"]
        if not isinstance(schema, dict):
            figures["schemas that are no object"] += 1
            continue
        schema = schema if "$schema" in schema else {"$schema": DRAFTS[draft], **schema}
        try:
            validator = Validator(load_schema(schema))
        except ValueError:
            figures["schemas refused (other documents, anchors, $id inside, ...)"] += 1
            continue
        figures["schemas judged"] += 1
        constraint = Constraint(kind="json", value=json.dumps(schema))
        try:
            check_constraint(constraint)
        except ArgumentRefused:
            pass
        else:
            figures["of these, held under a constraint"] += 1
            draw(
                constraint,
                Label(parse="json", json_schema=schema),
                f"{draft}/{path.name}: {group['description']}",
                figures,
            )
        for test in group["tests"]:
            is_valid = validator.misfit(test["data"]) is None
            figures["values judged"] += 1
            if is_valid != test["valid"]:
                is_named = path.name in LIMITS
                figures["of these, otherwise by a named limit" if is_named else "WRONG"] += 1
                if not is_named:
                    print(f"{draft}/{path.name}: {group['description']}: {test['description']}: valid: {is_valid}")


def draw(constraint: Constraint, label: Label, name: str, figures: Counter) -> None:
    """Random texts by the grammar of a schema, each of which has to be a label."""
    parse = make_parser(label)
    for seed in range(NUM_TEXTS):
        if (text := written(constraint, random.Random(seed))) is None:
            figures["texts that did not end in time"] += 1
            continue
        figures["texts drawn"] += 1
        try:
            parse(text)
        except RowRejected as reject:
            if any(limit in str(reject) for limit in TEXT_LIMITS):
                figures["of these, rejected by a named limit"] += 1
            else:
                figures["WRONG"] += 1
                print(f"{name}: {text!r} is not taken: {reject}")


def main(folder: Path) -> int:
    figures: Counter = Counter()
    for draft in DRAFTS:
        for path in sorted((folder / "tests" / draft).glob("*.json")):
            judge(path, draft, figures)
    for what, number in figures.items():
        print(f"{number:6,} {what}")
    return int(figures["WRONG"] > 0 or not figures["values judged"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

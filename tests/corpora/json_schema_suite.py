"""The JSON-Schema-Test-Suite against labels: no invalid value becomes a label, no valid object is refused.

    pip download --no-binary :all: --no-deps jsonschema && tar xzf jsonschema-*.tar.gz
    python tests/corpora/json_schema_suite.py jsonschema-*/json

Not part of the gate. Exit code 1 where a value is judged otherwise than the suite says, beside the limits named here.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from relabel.data.labels.validator import Validator
from relabel.engine.api.constraint import Constraint, check_constraint
from relabel.errors import ArgumentRefused
from relabel.spec.json_schema import load_schema

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
        try:
            check_constraint(Constraint(kind="json", value=json.dumps(schema)))
            figures["of these, held under a constraint"] += 1
        except ArgumentRefused:
            pass
        for test in group["tests"]:
            is_valid = validator.misfit(test["data"]) is None
            figures["values judged"] += 1
            if is_valid != test["valid"]:
                is_named = path.name in LIMITS
                figures["of these, otherwise by a named limit" if is_named else "WRONG"] += 1
                if not is_named:
                    print(f"{draft}/{path.name}: {group['description']}: {test['description']}: valid: {is_valid}")


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

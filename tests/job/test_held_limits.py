"""What a constraint cannot write is refused by name; what pydantic writes into schemas is not among it."""

import random
from pathlib import Path
from typing import Annotated
from uuid import UUID

import pytest
from pydantic import UUID4, Base64Bytes, Base64UrlBytes, BaseModel, SecretStr
from pydantic.types import UuidVersion

from relabel.data.labels.parsers import make_parser
from relabel.engine.api.constraint import check_constraint
from relabel.errors import ArgumentRefused
from relabel.job.engine import constraint_of
from tests.job.held import written
from tests.job.test_held import check_what_is_written, label_of_schema


class OfPydantic(BaseModel):
    """Types whose formats are no standard's."""

    raw: bytes
    folder: Path
    secret: SecretStr
    id: UUID4
    other: Annotated[UUID, UuidVersion(7)]
    image: Base64Bytes
    token: Base64UrlBytes


def test_a_model_of_pydantic_reads_what_is_written_for_its_schema():
    label = label_of_schema(OfPydantic.model_json_schema())
    check_constraint(constraint_of(label))
    texts = [written(constraint_of(label), random.Random(seed), most=2000) for seed in range(20)]
    assert sum(text is not None for text in texts) > 10
    for text in filter(None, texts):
        assert make_parser(label)(text)
        assert OfPydantic.model_validate_json(text)


def test_a_bound_beyond_what_constrained_integers_reach_is_named():
    with pytest.raises(ArgumentRefused, match=r"minimum beyond 10\^18, .* at #/minimum"):
        check_constraint(constraint_of(label_of_schema({"type": "integer", "minimum": 2**60})))


@pytest.mark.parametrize("text", ["\0", "\x01", "\x1f", "\x7f", "\v"])
def test_a_control_character_that_a_constrained_text_cannot_have_is_named(text):
    """It would be left out of the text, which then is no label."""
    code = f"\\x{ord(text):02x}"
    for schema in (
        {"enum": ["a", f"b{text}"]},
        {"const": {"a": [f"b{text}"]}},
        {"type": "string", "pattern": f"^a{text}$"},
        {"type": "string", "pattern": f"^a{code}$"},
    ):
        with pytest.raises(ArgumentRefused, match=r"with a control character.* at #/(enum|const|pattern)"):
            check_constraint(constraint_of(label_of_schema(schema)))
    check_what_is_written(label_of_schema({"type": "string", "pattern": f"^[{code}-\xff]{{3}}$"}), 1)
    check_what_is_written(label_of_schema({"enum": ['a\b\t\n\f\r"\\']}), 1)

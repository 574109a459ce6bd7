import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.labels import cut_at_stop, output_schema, parse_label
from relabel.errors import RowRejected
from relabel.spec import Label

LAST_LINE = Label(parse="last_line")


def test_text_is_the_whole_text_stripped():
    assert parse_label("\n a red\nsquare  ", Label()) == "a red\nsquare"


def test_last_line_is_the_last_line_that_is_not_blank():
    assert parse_label("Let me think.\nA red square. \n\n", LAST_LINE) == "A red square."


@pytest.mark.parametrize("label", [Label(), LAST_LINE])
@pytest.mark.parametrize("text", ["", " \n\t", "\u2003"])
def test_nothing_written_is_a_reject(text, label):
    with pytest.raises(RowRejected, match="parse: "):
        parse_label(text, label)


@given(st.text(), st.sampled_from([Label(), LAST_LINE]))
def test_any_text_is_a_label_or_a_reject(text, label):
    try:
        found = parse_label(text, label)
    except RowRejected:
        assert not text.strip()
    else:
        assert found
        assert found == found.strip()
        assert found in text


def test_the_text_ends_before_the_first_stop_text():
    assert cut_at_stop("a cat\n\nA dog###", ["###", "\n\n"]) == "a cat"
    assert cut_at_stop("a cat", ["\n\n"]) == "a cat"


def test_the_schema_has_the_kept_columns_after_the_row_and_the_label_before_its_text():
    schema = output_schema(pa.schema([pa.field("id", pa.int64(), nullable=False)]), Label(column="caption"))
    assert schema.names == [
        "source_file",
        "source_row",
        "id",
        "caption",
        "text",
        "status",
        "reason",
        "finish_reason",
        "prompt_tokens",
        "output_tokens",
    ]
    assert schema.field("id").nullable, "a row that could not be read has no id, and is kept all the same"

"""The page of a preview has the first rows as the model reads them, with their pictures."""

import json

import pytest

from relabel import make_spec
from relabel.demo import MODEL_PATH
from relabel.job.preview import look
from relabel.report.preview import Preview
from tests.pictures import png

SOURCE = [{"image": "red.png", "alt": "a red square"}, {"image": "gone.png", "alt": "gone"}]


@pytest.fixture
def fields(tmp_path):
    (tmp_path / "red.png").write_bytes(png((64, 64), "red"))
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in SOURCE))
    return {
        "source": {"path": str(tmp_path / "rows.jsonl"), "format": "jsonl", "unit_rows": 1},
        "prompt": {"user": "Was {{ alt }}.", "image": "image"},
        "model": {"path": str(MODEL_PATH), "dtype": "float32"},
        "sampling": {"max_new_tokens": 4},
        "label": {"column": "caption", "compare_to": "alt"},
        "output": {"path": str(tmp_path / "out")},
        "resources": {"gpus_per_actor": 0},
    }


def previewed(fields, *, generate):
    found = look(make_spec(fields), 2, generate=generate)
    records = found.table.to_dict("records")
    return Preview(spec=found.spec, records=records, units=found.units, columns=found.columns.names).rows()


def test_a_row_has_its_prompt_its_tokens_and_its_picture(fields):
    sound, lost = previewed(fields, generate=False)
    assert "Was a red square." in sound.answers[0].prompt
    assert (sound.status, sound.given) == ("", {"alt": "a red square"})
    assert int(sound.facts["prompt tokens"]) > 10
    assert sound.pictures[0].src.startswith("data:image/jpeg;base64,")
    assert (lost.status, lost.reason, lost.pictures[0].why) == ("rejected", "image: missing", "image: missing")
    assert lost.facts == {}


def test_with_labels_a_row_has_its_text_beside_the_old_one(fields):
    sound, lost = previewed(fields, generate=True)
    assert (sound.status, sound.answers[0].old) == ("ok", "a red square")
    assert sound.answers[0].label == sound.answers[0].texts[0].strip()
    assert (lost.status, lost.answers[0].label, lost.answers[0].texts) == ("rejected", None, ())

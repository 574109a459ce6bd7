"""What a recipe holds of the engine that generates: nothing of relabel's own, so that recipes of before stay."""

import pytest

from relabel.data.output.recipe import changed_fields, fingerprint, make_recipe
from relabel.spec import Server, Vllm, make_spec
from relabel.spec.engines.keys import OF_SPEED, OF_TEXTS
from tests.data.output.test_recipe import FIELDS, IDENTITY

VERSION = {"version": "0.32.0"}
URLS = ["http://a:8000/v1"]
OF_EACH = {
    "vllm": {
        "gpu_memory": 0.4,
        "max_rows": 8,
        "step_tokens": 4096,
        "eager": True,
        "kv_dtype": "fp8",
        "quantization": "fp8_per_tensor",
        "speculate_ngram": 3,
        "batch_invariant": True,
    },
    "server": {
        "urls": ["https://b/v1"],
        "api": "chat",
        "model": "other",
        "api_key_env": "KEY",
        "max_requests": 7,
        "timeout": 60,
    },
}
WHERE = {"server": {"urls", "api_key_env"}}


def recipe_of(engine, **section):
    fields = {**FIELDS, "model": {**FIELDS["model"], "engine": engine}}
    if engine == "server":
        section = {"urls": URLS, **section}
    return make_recipe(make_spec({**fields, engine: section} if section else fields), IDENTITY, VERSION)


def test_relabels_own_engine_is_not_in_the_recipe():
    recipe = make_recipe(make_spec(FIELDS), IDENTITY)
    assert recipe_of("relabel") == recipe
    assert "engine" not in recipe["model"]
    assert not {"engine", "vllm", "server"} & recipe.keys()


@pytest.mark.parametrize("engine", OF_EACH)
def test_another_engine_and_its_version_are(engine):
    own = make_recipe(make_spec(FIELDS), IDENTITY)
    recipe = recipe_of(engine)
    assert f'model.engine: (absent) -> "{engine}"' in changed_fields(own, recipe)
    newer = {**recipe, "engine": {"version": "0.33.0"}}
    assert changed_fields(recipe, newer) == ['engine.version: "0.32.0" -> "0.33.0"']
    assert fingerprint(recipe) != fingerprint(newer)


@pytest.mark.parametrize(("engine", "key"), [(engine, key) for engine, keys in OF_EACH.items() for key in keys])
def test_keys_that_texts_depend_on_count_and_no_others(engine, key):
    recipe, other = recipe_of(engine), recipe_of(engine, **{key: OF_EACH[engine][key]})
    counts = key in OF_TEXTS[engine]
    assert (fingerprint(recipe) != fingerprint(other)) == counts
    assert [change.partition(":")[0] for change in changed_fields(recipe, other)] == [f"{engine}.{key}"] * counts
    if key in WHERE.get(engine, ()):  # there for a retry, which has no spec
        assert other[engine][key] == OF_EACH[engine][key]


def test_every_key_is_of_texts_or_of_speed_or_says_where():
    for engine, section in (("vllm", Vllm), ("server", Server)):
        assert OF_EACH[engine].keys() == section.model_fields.keys()
        assert {*OF_TEXTS[engine], *OF_SPEED[engine], *WHERE.get(engine, ())} == section.model_fields.keys()

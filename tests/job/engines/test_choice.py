"""Which engine a spec is run by, and that the first run settles it for all later ones."""

import pytest

from relabel import make_spec
from relabel.data.store.store import Store
from relabel.engine.vllm.installed import vllm_version
from relabel.errors import ModelRefused, SpecError
from relabel.job.engine import engine_of
from relabel.job.engines.choice import settled
from relabel.job.plan import plan
from relabel.job.prepare import prepare
from relabel.job.preview import preview


def with_engine(fields, engine, **sections):
    return make_spec({**fields, "model": {**fields["model"], "engine": engine}, **sections})


def test_auto_is_relabels_own_engine_where_no_gpu_is_asked(fields):
    assert settled(with_engine(fields, "auto"), None).model.engine == "relabel"


def test_an_output_keeps_the_engine_of_its_first_run(fields):
    """Both ways: auto goes on with what is there, and that is the same recipe as naming it."""
    store = Store(fields["output"]["path"])
    first, _, _ = prepare(make_spec(fields), store)
    again, _, _ = prepare(with_engine(fields, "auto"), store)
    assert again.fingerprint == first.fingerprint
    assert again.spec.model.engine == "relabel"


def test_auto_goes_on_with_vllm_where_the_first_run_was_vllms(fields):
    store = Store(fields["output"]["path"])
    prepare(make_spec(fields), store)
    noted = store.read_json("_run.json")
    noted["recipe"]["model"]["engine"] = "vllm"

    store.put_json("_run.json", noted)
    assert settled(with_engine(fields, "auto"), store).model.engine == "vllm"


@pytest.mark.skipif(vllm_version() is not None, reason="vLLM is installed")
def test_an_engine_that_is_not_installed_is_refused_with_the_command(fields):
    spec = with_engine(fields, "vllm")
    for work in (plan, engine_of, lambda spec: prepare(spec, Store(spec.output.path))):
        with pytest.raises(ModelRefused, match=r"pip install 'ray-relabel\[vllm\]'"):
            work(spec)
    assert len(preview(spec, 2)) == 2, "the prompts are the same with any engine"


def test_a_server_takes_no_gpu_of_this_cluster(fields):
    spec = with_engine({**fields, "resources": {}}, "server", server={"urls": ["http://localhost:1/v1"]})
    assert spec.resources.gpus_per_actor == 1
    assert settled(spec, None).resources.gpus_per_actor == 0


def test_what_auto_takes_must_be_able_to_do_what_is_asked(fields):
    """Two GPUs were held, and one was used."""
    spec = with_engine({**fields, "resources": {"gpus_per_actor": 2}}, "auto")
    with pytest.raises(SpecError, match=r"gpus_per_actor is above 1, and model\.engine: auto is relabel's own here"):
        settled(spec, None)

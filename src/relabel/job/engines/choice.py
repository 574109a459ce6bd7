"""Which engine a spec is run by: `auto` settled, and what tells the engine of one recipe from that of another.

Knows keys of the spec and what is installed; nothing of rows.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from relabel.data.output.manifest import read_run
from relabel.data.store.store import Store
from relabel.engine.checkpoint.identity import model_identity
from relabel.errors import SpecError
from relabel.spec import Spec
from relabel.spec.engines.keys import EngineName
from relabel.spec.engines.limits import why_not_vllm

log = logging.getLogger("relabel")


def settled(spec: Spec, store: Store | None) -> Spec:
    """The spec with an engine that has a name: `auto` is that of the output's first run, else the best one here.

    Raises Refused where the output's documents cannot be read, SpecError where that engine cannot do what is asked.
    """
    name = spec.model.engine
    if name == "auto":
        known = read_run(store) if store else None
        noted = known and known.recipe["model"].get("engine", "relabel")
        name = noted if noted in ("relabel", "vllm") else _best(spec)
        log.info("model.engine is auto: %s", name)
        _check(spec, name)
    if name == "server":
        from relabel.engine.server.promises import not_kept

        log.warning("what relabel cannot promise of servers: %s", "; ".join(not_kept(spec.server.api)))
    return with_engine(spec, name)


def _check(spec: Spec, name: EngineName) -> None:
    """Raise SpecError where the engine that was taken cannot do what the spec asks."""
    if name == "vllm" and (why := why_not_vllm(spec.resources, spec.vllm, spec.queries)) is not None:
        raise SpecError(f"model.engine: auto is vllm, by the first run into this output: {why}")
    if name == "relabel" and spec.resources.gpus_per_actor > 1:
        raise SpecError(
            "resources.gpus_per_actor is above 1, and model.engine: auto is relabel's own here, which takes one GPU "
            "(auto looks at this machine, not at others of a cluster): set model.engine: vllm, or lower it"
        )


def with_engine(spec: Spec, name: EngineName) -> Spec:
    """The spec with this engine, and what goes without saying of it."""
    spec = spec.model_copy(update={"model": spec.model.model_copy(update={"engine": name})})
    if name == "server":  # the model lies elsewhere
        spec = spec.model_copy(update={"resources": spec.resources.model_copy(update={"gpus_per_actor": 0})})
    return spec


def identity_of(spec: Spec, revision: str | None = None) -> dict[str, str]:
    """What tells the model of a spec from others, at a revision where one is given. Raises ModelRefused.

    Weights lie with whoever generates: with servers they need not be here.
    """
    model = spec.model
    return model_identity(model.path, revision or model.revision, model.adapter, weights=model.engine != "server")


def engine_identity(spec: Spec) -> Mapping[str, object]:
    """What the recipe holds of an engine besides its settings; nothing of relabel's own.

    Raises ModelRefused where the engine is not installed.
    """
    if spec.model.engine != "vllm":
        return {}
    from relabel.engine.vllm.installed import require_vllm

    return {"version": require_vllm()}


def _best(spec: Spec) -> EngineName:
    if why_not_vllm(spec.resources, spec.vllm, spec.queries) is not None or not spec.resources.gpus_per_actor:
        return "relabel"
    from relabel.engine.vllm.installed import takes, vllm_version

    if vllm_version() is None:
        return "relabel"
    return "vllm" if takes(spec.model.path, spec.model.revision) else "relabel"

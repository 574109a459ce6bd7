"""Which fields the files of `jobs/kubernetes/` use, and what Kubernetes and KubeRay say of the type and values of each.

Run by hand where a file uses another field, with the definitions of KubeRay's release and the `kubernetes` package:

    pip install kubernetes
    python -m tools.kubernetes_fields ray.io_rayjobs.yaml ray.io_raycronjobs.yaml >tests/kubernetes_fields.json
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

FILES = Path(__file__).parents[1] / "jobs/kubernetes"
KEPT = ("type", "enum", "required", "x-kubernetes-int-or-string")
SCALARS = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}


def pruned(schema: dict[str, Any], value: Any) -> dict[str, Any]:
    """What a schema says of a value, and of the fields that the value has; any other field is refused."""
    if "model" in schema:
        schema = of_model(schema["model"])
    kept = {key: schema[key] for key in KEPT if key in schema}
    if isinstance(value, dict):
        if isinstance(of_any := schema.get("additionalProperties"), dict):
            return kept | {"additionalProperties": {key: of_any[key] for key in KEPT if key in of_any}}
        if "properties" not in schema:
            return kept
        fields = {name: pruned(schema["properties"][name], one) for name, one in value.items()}
        return kept | {"properties": fields, "additionalProperties": False}
    if isinstance(value, list):
        items: dict[str, Any] = {}
        for one in value:
            items = merged(items, pruned(schema["items"], one))
        return kept | {"items": items}
    return kept


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Of two values at the same place: all fields of both."""
    both = {**one, **other}
    for key in ("properties", "items"):
        if key in one and key in other:
            joined = {name: merged(one[key].get(name, {}), other[key].get(name, {})) for name in one[key] | other[key]}
            both[key] = joined if key == "properties" else merged(one[key], other[key])
    return both


def of_custom_resource(path: Path) -> tuple[str, dict[str, Any]]:
    definition = yaml.safe_load(path.read_text())["spec"]
    (version,) = (one for one in definition["versions"] if one["name"] == "v1")
    return definition["names"]["kind"], version["schema"]["openAPIV3Schema"]


def of_model(name: str) -> dict[str, Any]:
    """The schema of a type of Kubernetes' own, from its Python client."""
    from kubernetes import client

    model = getattr(client, name)
    fields = {model.attribute_map[field]: of_type(kind) for field, kind in model.openapi_types.items()}
    told = set(re.findall(r"Invalid value for `(\w+)`, must not be `None`", inspect.getsource(model)))
    required = sorted(model.attribute_map[field] for field in told)
    return {"type": "object", "properties": fields, **({"required": required} if required else {})}


def of_type(kind: str) -> dict[str, Any]:
    if kind in SCALARS:
        return {"type": SCALARS[kind]}
    if found := re.fullmatch(r"List\[(.*)\]", kind):
        return {"type": "array", "items": of_type(found[1])}
    if found := re.fullmatch(r"Dict\[str, (.*)\]", kind):
        return {"type": "object", "additionalProperties": of_type(found[1])}
    return {"model": kind}


def main(paths: list[str]) -> None:
    schemas = dict(of_custom_resource(Path(path)) for path in paths)
    schemas["CronJob"] = of_model("V1CronJob")
    schemas |= {"ConfigMap": of_model("V1ConfigMap"), "ServiceAccount": of_model("V1ServiceAccount")}
    schemas["PersistentVolumeClaim"] = of_model("V1PersistentVolumeClaim")
    objects = [one for path in sorted(FILES.glob("*.yaml")) for one in yaml.safe_load_all(path.read_text())]
    print(json.dumps({one["kind"]: pruned(schemas[one["kind"]], one) for one in objects}, indent=1, sort_keys=True))


if __name__ == "__main__":
    main(sys.argv[1:])

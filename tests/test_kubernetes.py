"""What people copy to Kubernetes: each object fits the fields that its kind has, and the objects go together.

`kubernetes_fields.json` has these fields: `tools/kubernetes_fields.py` found them in KubeRay 1.6.2 and Kubernetes 1.37.
"""

import json
import re
import shlex
from pathlib import Path

import jsonschema
import pytest
import typer
import yaml

from relabel.cli import app
from relabel.spec import load_spec

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "jobs/kubernetes").glob("*.yaml"))
FIELDS = json.loads(Path(__file__).with_name("kubernetes_fields.json").read_text())


def objects(path):
    return list(yaml.safe_load_all(path.read_text()))


def object_of(name, kind):
    (found,) = (one for one in objects(ROOT / "jobs/kubernetes" / name) if one["kind"] == kind)
    return found


RAY_JOB = object_of("rayjob.yaml", "RayJob")["spec"]
CRON_JOB = object_of("cronjob.yaml", "CronJob")["spec"]
CONFIG = object_of("shared.yaml", "ConfigMap")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_object_has_the_fields_of_its_kind(path):
    for one in objects(path):
        jsonschema.validate(one, FIELDS[one["kind"]])


@pytest.mark.parametrize("misspelt", ["backofLimit", "ttlSeconds"])
def test_a_field_that_its_kind_does_not_have_is_found(misspelt):
    with pytest.raises(jsonschema.ValidationError, match=misspelt):
        jsonschema.validate({"kind": "RayJob", "spec": {**RAY_JOB, misspelt: 3}}, FIELDS["RayJob"])


def test_every_night_runs_what_one_run_is():
    assert object_of("raycronjob.yaml", "RayCronJob")["spec"]["jobTemplate"] == RAY_JOB


def test_the_spec_is_one_and_the_workers_have_its_gpus(tmp_path):
    (tmp_path / "recaption.yaml").write_text(CONFIG["data"]["recaption.yaml"])
    resources = load_spec(tmp_path / "recaption.yaml").resources
    (workers,) = RAY_JOB["rayClusterSpec"]["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    gpus = int(container["resources"]["limits"]["nvidia.com/gpu"])
    assert resources.most_actors * resources.gpus_per_actor <= workers["maxReplicas"] * gpus
    assert any(one["key"] == "nvidia.com/gpu" for one in workers["template"]["spec"]["tolerations"])


def commands_of(text):
    """The lines of relabel in a command of a shell, less what submits them."""
    words = [shlex.split(line) for line in text.split("&&")]
    return [line[line.index("relabel") + 1 :] for line in words if "relabel" in line]


def test_the_commands_are_those_of_relabel():
    (container,) = CRON_JOB["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    commands = [*commands_of(RAY_JOB["entrypoint"]), *commands_of(container["args"][0])]
    assert [command[0] for command in commands] == ["run", "plan", "run", "status"]
    for name, *arguments in commands:
        command = typer.main.get_command(app).commands[name]
        command.make_context(name, [*arguments])  # raises where an option is unknown
        assert "recaption.yaml" in " ".join(arguments) or name == "status"


def test_what_is_refused_is_not_tried_again_and_what_failed_is():
    job = CRON_JOB["jobTemplate"]["spec"]
    (rule,) = job["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [2])
    assert job["backoffLimit"] > 0
    assert RAY_JOB["backoffLimit"] > 0


def test_nobody_is_let_in_without_the_token():
    assert RAY_JOB["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    (container,) = CRON_JOB["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one for one in container["env"]}
    assert environment["RAY_AUTH_MODE"]["value"] == "token"
    assert "valueFrom" in environment["RAY_AUTH_TOKEN"], "no token is in a file"


def test_rays_version_is_that_of_the_constraints():
    (version,) = re.findall(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert RAY_JOB["rayClusterSpec"]["rayVersion"] == version
    assert f"FROM rayproject/ray:{version}-" in (ROOT / "jobs/kubernetes/Dockerfile").read_text()

"""A model in a bucket is its files as they lie there: copied once, and another model once one of them is replaced."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from relabel.engine.checkpoint.bucket import find_bucket_model
from relabel.engine.checkpoint.files import is_bucket, locate
from relabel.engine.checkpoint.identity import model_identity
from relabel.errors import ArgumentRefused, ModelRefused


@pytest.fixture
def bucket(s3, monkeypatch, tmp_path):
    """Puts and deletes objects; this machine's copies go to a folder of the test."""
    import boto3

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return boto3.resource("s3").Bucket("relabel")


@pytest.fixture
def model(bucket, s3_url, text_model):
    """The URL of a small model."""
    for file in text_model.iterdir():
        bucket.upload_file(str(file), f"{s3_url.removeprefix('s3://relabel/')}/{file.name}")
    return s3_url


def key(url, name):
    return f"{url.removeprefix('s3://relabel/')}/{name}"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("s3://bucket/model", True), ("gs://bucket/model", True), ("https://host/model", False), ("org/model", False)],
)
def test_buckets_are_told_from_names_and_folders(path, expected):
    assert is_bucket(path) is expected


def test_small_files_come_first_and_weights_when_they_are_asked_for(model, text_model):
    folder = locate(model)
    assert (folder / "config.json").read_bytes() == (text_model / "config.json").read_bytes()
    assert not (folder / "model.safetensors").exists()
    assert locate(model, weights=True) == folder
    assert (folder / "model.safetensors").read_bytes() == (text_model / "model.safetensors").read_bytes()


def test_a_copy_is_made_once(model):
    folder = locate(model, weights=True)
    (folder / "model.safetensors").write_bytes(b"x" * (folder / "model.safetensors").stat().st_size)
    assert (locate(model, weights=True) / "model.safetensors").read_bytes().startswith(b"xxx")


def test_who_comes_while_another_copies_waits_and_copies_nothing(model, text_model):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: locate(model, weights=True), range(8)))
    assert len({*folders}) == 1
    assert (folders[0] / "model.safetensors").read_bytes() == (text_model / "model.safetensors").read_bytes()
    assert not list(folders[0].glob(".*.part"))


def test_what_a_killed_process_left_is_written_over(model, text_model):
    folder = locate(model)
    (folder / ".model.safetensors.part").write_bytes(b"half")
    assert (locate(model, weights=True) / "model.safetensors").read_bytes() == (
        text_model / "model.safetensors"
    ).read_bytes()


def test_the_identity_is_that_of_all_files_and_no_weight_is_copied_for_it(model, bucket, text_model):
    before = model_identity(model)
    assert before == model_identity(model, before["revision"])
    bucket.put_object(Key=key(model, "model.safetensors"), Body=(text_model / "model.safetensors").read_bytes() + b" ")
    assert model_identity(model) != before
    assert not list(locate(model).glob("*.safetensors"))


def test_files_that_were_replaced_are_another_revision(model, bucket):
    revision = find_bucket_model(model).revision
    bucket.put_object(Key=key(model, "generation_config.json"), Body=json.dumps({"temperature": 2}).encode())
    with pytest.raises(ArgumentRefused, match=f"are not those of revision {revision}"):
        locate(model, revision)


def test_a_folder_without_a_file_is_refused(bucket, s3_url):
    with pytest.raises(ArgumentRefused, match=r"there is no file in s3://relabel/.*; check path"):
        locate(s3_url)


def test_weights_that_are_not_there_are_named(model, bucket):
    bucket.delete_objects(Delete={"Objects": [{"Key": key(model, "model.safetensors")}]})
    with pytest.raises(ModelRefused, match=r"the weight file model.safetensors is missing in s3://"):
        model_identity(model)
    assert model_identity(model, weights=False), "with servers the weights lie elsewhere"


def test_an_index_names_the_weight_files(model, bucket, text_model):
    weights = (text_model / "model.safetensors").read_bytes()
    bucket.delete_objects(Delete={"Objects": [{"Key": key(model, "model.safetensors")}]})
    index = {"weight_map": {"a": "model-00001-of-00001.safetensors"}}
    bucket.put_object(Key=key(model, "model.safetensors.index.json"), Body=json.dumps(index).encode())
    bucket.put_object(Key=key(model, "model-00001-of-00001.safetensors"), Body=weights)
    bucket.put_object(Key=key(model, "other.safetensors"), Body=b"of an earlier save")
    folder = locate(model, weights=True)
    assert [file.name for file in folder.glob("*.safetensors")] == ["model-00001-of-00001.safetensors"]


def test_a_bucket_that_is_not_there_is_refused_with_what_to_check(s3):
    with pytest.raises(ModelRefused, match=r"s3://nowhere/model cannot be listed \(\w+\); check the URL and the keys"):
        locate("s3://nowhere/model")


def test_an_adapter_in_a_bucket_is_refused_with_what_to_do(model, text_model):
    with pytest.raises(ArgumentRefused, match="is in a bucket; copy it to a folder that every node has"):
        model_identity(str(text_model), adapter=model)

import pytest

from relabel.data.tables.place import refuse_place
from relabel.errors import SpecError
from relabel.spec.running.table import Table


def delta(path):
    return Table(format="delta", path=path)


@pytest.mark.parametrize("path", ["/data/out", "/data/out/", "file:///data/out", "/data/out/table", "/data", "/"])
@pytest.mark.parametrize("format", ["delta", "lance"])
def test_a_table_in_its_output_or_around_it_is_refused(format, path):
    with pytest.raises(SpecError, match=r"output\.table\.path /.* and output\.path /data/out lie one in the other"):
        refuse_place(Table(format=format, path=path), "/data/out", [])


def test_so_it_is_in_a_bucket_and_from_the_working_directory(tmp_path, monkeypatch):
    with pytest.raises(SpecError, match="one in the other"):
        refuse_place(delta("s3://bucket/out/"), "s3://bucket/out", [])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="one in the other"):
        refuse_place(delta("out"), str(tmp_path / "out"), [])


@pytest.mark.parametrize("pattern", ["/data", "/data/table", "/data/*/*.parquet", "/data/**", "/data/ta*"])
def test_a_table_among_the_parquet_files_of_the_source_is_refused(pattern):
    with pytest.raises(SpecError, match=r"output\.table\.path /data/table lies inside source\.path /data"):
        refuse_place(delta("/data/table"), "/out", ["/other", pattern])


def test_a_table_beside_them_is_taken():
    for path in ("/data/output", "/data/ou", "s3://data/out", "/data/out-table"):
        refuse_place(delta(path), "/data/out", ["/data/source", "/data/*.parquet", "/data/o*/x.parquet"])


def test_a_table_of_a_catalog_lies_where_the_catalog_says():
    refuse_place(Table(format="iceberg", name="data.out"), "/data/out", ["/data"])

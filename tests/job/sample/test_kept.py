import pytest

from relabel.data.store.store import Store
from relabel.job.sample.kept import FORECAST, Between, Forecast, compared, read_forecast, write_forecast


def forecast(**fields):
    given = {
        "fingerprint": "f",
        "version": "1",
        "rows": 1000,
        "sample": 64,
        "speed": "measured",
        "gpu": None,
        "gpu_hours": Between(low=1.0, mid=2.0, high=3.0),
        "seconds": Between(low=3600.0, mid=7200.0, high=10800.0),
        "start_seconds": 20.0,
        "output_tokens": Between(low=9e3, mid=1e4, high=1.1e4),
        "rejected": 10.0,
    }
    return Forecast(**(given | fields))


def test_what_is_kept_is_read_back_by_runs_of_the_same_recipe_alone(tmp_path):
    store = Store(str(tmp_path / "out"))
    assert read_forecast(store, "f") is None
    write_forecast(store, forecast())
    assert read_forecast(store, "f") == forecast()
    assert read_forecast(store, "g") is None
    write_forecast(store, forecast(rows=7))
    assert read_forecast(store, "f").rows == 7


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rows": -1}', "null"])
def test_what_cannot_be_read_is_as_if_it_were_not_there(tmp_path, text):
    store = Store(str(tmp_path / "out"))
    (tmp_path / "out" / FORECAST).write_text(text)
    assert read_forecast(store, "f") is None


def test_the_part_of_a_run_that_was_done_is_held_against_that_part_of_the_prediction():
    done = {"rows": 500, "rejected": 4, "output_tokens": 4000, "seconds": 3000.0, "engine_seconds": 1440.0}
    found = compared(forecast(), done, gpus=2.0)
    assert found["gpu_hours"] == {"predicted": {"low": 0.5, "mid": 1.0, "high": 1.5}, "actual": 0.8, "off_by": 0.25}
    assert found["output_tokens"]["off_by"] == 0.25
    assert found["rejected"] == {"predicted": 5.0, "actual": 4}
    assert found["seconds"]["start_seconds"] == 20.0


def test_what_was_not_predicted_is_said_to_be_so():
    unknown = Between(low=None, mid=None, high=None)
    done = {"rows": 500, "rejected": 4, "output_tokens": 0, "seconds": 3000.0, "engine_seconds": 1440.0}
    found = compared(forecast(gpu_hours=unknown), done, gpus=0.0)
    assert found["gpu_hours"] == {"predicted": {"low": None, "mid": None, "high": None}, "actual": 0.4, "off_by": None}
    assert found["output_tokens"]["off_by"] is None

import pytest

from relabel.data.sources import streams


class Tape:
    """A stream that records what happened to it."""

    opened = 0

    def __init__(self, position=0):
        Tape.opened += 1
        self.position = position
        self.is_closed = False

    def close(self):
        self.is_closed = True


@pytest.fixture(autouse=True)
def _empty():
    streams.close_all()
    Tape.opened = 0


def advance(key, first, to, earliest=0):
    with streams.borrowed(key, earliest, first, Tape) as tape:
        tape.position = to
    return tape


def test_the_next_unit_goes_on_where_the_last_one_stopped():
    assert advance("a", 0, 10) is advance("a", 10, 20)
    assert Tape.opened == 1


def test_a_stream_that_is_past_the_wanted_row_is_not_used():
    advance("a", 0, 10)
    advance("a", 5, 10)
    assert Tape.opened == 2


def test_a_stream_before_the_place_a_reader_can_begin_at_is_not_used():
    advance("a", 0, 10)
    advance("a", 500, 510, earliest=400)
    assert Tape.opened == 2


def test_of_several_the_nearest_is_used():
    near = advance("a", 0, 10)
    with streams.borrowed("a", 0, 10, Tape) as borrowed, streams.borrowed("a", 0, 3, Tape) as other:
        assert borrowed is near
        assert other is not near
        other.position = 3
    assert advance("a", 12, 20) is near


def test_a_stream_is_lent_to_one_reader_at_a_time():
    with streams.borrowed("a", 0, 0, Tape) as one, streams.borrowed("a", 0, 0, Tape) as two:
        assert one is not two


def test_a_stream_that_failed_is_closed_and_never_lent_again():
    with pytest.raises(ValueError, match="torn"), streams.borrowed("a", 0, 0, Tape) as tape:
        raise ValueError("torn")
    assert tape.is_closed
    assert advance("a", 0, 1) is not tape


def test_only_a_few_stay_open():
    tapes = [advance(key, 0, 1) for key in "abcdef"]
    assert [tape.is_closed for tape in tapes] == [True] * (6 - streams.MAX_OPEN) + [False] * streams.MAX_OPEN

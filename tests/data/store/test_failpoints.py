from relabel.data.store.failpoints import Failpoint, listening
from relabel.data.store.store import Store


def test_who_listens_hears_of_every_store_until_the_block_ends(tmp_path):
    heard, store = [], Store(str(tmp_path))
    with listening(lambda failpoint, name: heard.append((failpoint, name))):
        store.put_json("_a.json", 1)
    store.put_json("_b.json", 1)
    assert [name for _, name in heard] == ["_a.json"] * len(heard)
    assert [failpoint for failpoint, _ in heard] == [
        *(Failpoint.SENDING, Failpoint.STAGED, Failpoint.SYNCED, Failpoint.NAMED, Failpoint.DONE)
    ]

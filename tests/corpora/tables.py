"""Compares what relabel reads of CSV files with pandas: `python -m tests.corpora.tables FOLDER...`.

The folders are those of source distributions that come with many such files (`pip download --no-binary :all: --no-deps
csvkit agate frictionless`, unpacked). A row that both read and read otherwise is a fault, and so is a file that is
passed over without a word. Not part of the gate: the files are not ours.
"""

import sys
import warnings
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa

from relabel.data.sources import list_files, read, scan
from relabel.data.sources.formats.dialect import Dialect, dialect_of
from relabel.errors import RelabelError
from relabel.spec import Source

Table = list[tuple[str, ...]]
SUFFIXES = (".csv", ".tsv", ".csv.gz", ".csv.zst")


def main(folders: list[Path]) -> int:
    """The exit code: 1 where a table is read otherwise than pandas reads it in the same dialect."""
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    faults = []
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.name.endswith(SUFFIXES)):
        ours, dialect = relabel(path)
        outcome = ours if isinstance(ours, str) else compare(ours, pandas(path, dialect))
        counts[outcome.partition(":")[0]] += 1
        if outcome.startswith(("other", "refused")):
            faults.append(f"{path}: {outcome}")
    print(*faults, sep="\n")
    print(", ".join(f"{name} {number}" for name, number in counts.most_common()))
    return any(": other" in fault for fault in faults)


def relabel(path: Path) -> tuple[tuple[list[str], Table, int] | str, Dialect | None]:
    """Header, rows and the number of rejected ones, or why there are none; and the dialect that was found."""
    source = Source(path=str(path), format="csv")
    try:
        (file,) = list_files(source).files
        scanned = scan(file, source, 1000)
        names = scanned.columns.names
        if not scanned.units:
            return "without rows", None
        if len(set(names)) < len(names):
            return "a column stands twice, and only the others can be asked for", None
        rows: Table = []
        num_rejected = 0
        for unit in scanned.units:
            found = read(unit, source, names, pa.schema([]))
            num_rejected += sum(why is not None for why in found.reasons)
            values = zip(*(found.columns[name] for name in names), strict=True)
            rows += [tuple(map(str, row)) for row, why in zip(values, found.reasons, strict=True) if why is None]
        return (names, rows, num_rejected), dialect_of(file, source)
    except (RelabelError, ValueError) as error:
        return f"refused: {error}", None


def pandas(path: Path, dialect: Dialect | None) -> tuple[list[str], Table] | str:
    """The same by pandas, rows of another length than the header left out."""
    assert dialect is not None
    try:
        frame = pd.read_csv(
            path,
            sep=dialect.delimiter,
            encoding="utf-8-sig" if dialect.encoding == "utf-8" else dialect.encoding,
            dtype=str,
            keep_default_na=False,
            index_col=False,
            skiprows=int(dialect.has_sep_line),
            on_bad_lines="skip",
        )
    except (ValueError, OSError) as error:
        return str(error)
    frame = frame[frame.notna().all(axis=1)]
    return list(map(str, frame.columns)), list(frame.itertuples(index=False, name=None))


def compare(ours: tuple[list[str], Table, int], theirs: tuple[list[str], Table] | str) -> str:
    names, rows, num_rejected = ours
    if isinstance(theirs, str):
        return "read by relabel alone"
    if [name for name in names if name] != [name for name in theirs[0] if not name.startswith("Unnamed: ")]:
        return f"other columns: {names} and {theirs[0]}"
    lines, expected = plain(rows), plain(theirs[1])
    if not num_rejected:
        return "equal" if lines == expected else f"other rows: {len(rows)} and {len(theirs[1])}"
    # pandas fills rows that are too short and cuts some that are too long: relabel rejects both, each with its reason
    left = iter(expected)
    return "equal but for rows of another length" if all(line in left for line in lines) else "other rows among rejects"


def plain(rows: Table) -> Table:
    """The rows with one kind of line end."""
    return [tuple(value.replace("\r\n", "\n") for value in row) for row in rows]


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))

"""The files of a source: what its paths name, what they pass over, and which parts each file has.

Knows the contract of formats, no single one, and nothing of rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from relabel.data.sources import files
from relabel.data.sources.finding import find, suffix_of
from relabel.data.sources.formats.format import Format
from relabel.data.sources.roots import source_root
from relabel.data.sources.unit import SourceFile
from relabel.errors import SourceRefused
from relabel.spec import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the paths of a source name."""

    files: list[SourceFile]
    """By path."""
    passed_over: Mapping[str, int]
    """Files below the source's folders that are none of its format, by suffix or name; those that are hidden."""
    unreadable: tuple[tuple[str, str], ...]
    """Files whose names cannot be written down, as far as they can, and what to do."""


def list_source(source: Source, form: Format, known: Mapping[str, SourceFile]) -> Listing:
    """Every file of the source. SourceRefused where a path names none.

    `known` are the files of an earlier plan by path: they keep the names of their parts, and stay files.
    """
    root = source_root(source)
    entries: dict[str, files.Entry] = {}
    passed_over: Counter[str] = Counter()
    bad_names: dict[bytes, None] = {}
    for pattern in source.paths:
        found = find(files.absolute(pattern), form.SUFFIXES)
        passed_over.update(found.passed_over)
        bad_names |= dict.fromkeys(name for name in found.bad_names if name.lower().endswith(_bytes(form.SUFFIXES)))
        taken = [
            entry
            for entry in found.entries
            if form.takes(entry.url, is_named=found.is_named) or files.relative(entry.url, root) in known
        ]
        if not taken and not bad_names:
            raise SourceRefused(
                f"source.path {pattern} matches no {source.format} file; correct it or add the data"
                f"{_others(passed_over)}{_remedy(pattern, passed_over)}"
            )
        own = {entry.url: entry for entry in taken}
        passed_over.update(_name_of(entry.url, form) for entry in found.entries if entry.url not in own)
        entries |= own
    listed = sorted(form.group(list(entries.values()), root), key=lambda file: file.path)
    return Listing(
        files=_with_stems(listed, known),
        passed_over=dict(passed_over.most_common()),
        unreadable=tuple((_text(name), f"the name of {_text(name)} is not UTF-8: rename it") for name in bad_names),
    )


def say(passed_over: Mapping[str, int], limit: int = 8) -> str:
    """`3 .heic, 1 .md`: the most frequent first."""
    ranked = sorted(passed_over.items(), key=lambda item: -item[1])
    named = [f"{number} {name}" for name, number in ranked[:limit]]
    rest = sum(number for _, number in ranked[limit:])
    return ", ".join([*named, *([f"{rest} others"] if rest else [])])


def _others(passed_over: Mapping[str, int]) -> str:
    return f" (passed over: {say(passed_over)})" if passed_over else ""


def _remedy(pattern: str, passed_over: Mapping[str, int]) -> str:
    if "{" in pattern:
        return "; braces are no glob: write *, ? or [0-9], or a list of paths"
    if ".arrow" in passed_over:
        return "; Arrow files, as datasets saves them, are not read: write them as Parquet, by Dataset.to_parquet"
    if any(suffix.startswith((".tar.", ".tgz")) for suffix in passed_over):
        return "; tar files are read as they are: unpack those that are compressed to plain .tar files"
    return ""


def _name_of(url: str, form: Format) -> str:
    """A file that has the suffix of the format and is none of its data is named."""
    return url.rpartition("/")[2] if url.lower().endswith(form.SUFFIXES) else suffix_of(url)


def _bytes(suffixes: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(suffix.encode() for suffix in suffixes)


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")


def _with_stems(listed: Sequence[SourceFile], known: Mapping[str, SourceFile]) -> list[SourceFile]:
    """The files with the names of their parts: as they were, and of new files such as no other has."""
    taken = {file.stem for file in known.values()}
    named: list[SourceFile] = []
    for file in listed:
        if (old := known.get(file.path)) is not None:
            named.append(replace(file, own_stem=old.own_stem))
            continue
        if files.is_hidden(file.stem):
            raise SourceRefused(f"{file.url}: names that begin with _ or . are skipped by readers; rename it")
        stem, number = file.stem, 0
        while stem in taken:
            stem, number = f"{file.path}{f'~{number}' if number else ''}", number + 1
        taken.add(stem)
        named.append(file if stem == file.stem else replace(file, own_stem=stem))
    return named

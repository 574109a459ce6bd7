"""What a row may name an image by: a path under the image root, or a URL or absolute path that leads below it.

Judged by where it leads, never by how it is written. Opens nothing.
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote

from relabel.errors import RowRejected
from relabel.rejected import Code
from relabel.storage.clouds import canonical

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_PLAIN = re.compile(r"[^?#]*")
_DRIVE = re.compile(r"[A-Za-z]:")
_FILE = re.compile(r"file:(//(localhost)?)?(?=/)", re.IGNORECASE)

MISSING = "missing"
LEAVES = "a path that leaves the image root"
NO_PATH = "a path that no file can have"
IS_URL = "a URL, which is never fetched"


def path_of(reference: str) -> str:
    """A reference as a path of this machine, relative or absolute. Raises RowRejected (image)."""
    _check(reference)
    if is_file := _FILE.match(reference):
        reference = unquote(reference[is_file.end() :], errors="surrogateescape")
        _check(reference)
    if _DRIVE.match(reference):
        raise RowRejected(Code.IMAGE, LEAVES)
    if reference.startswith("//") or _URL.match(reference):
        raise RowRejected(Code.IMAGE, IS_URL)
    if not reference.startswith("/"):
        _check_climbing(reference)
    return reference


def key_of(reference: str, root: str) -> str:
    """A reference as the key of an object below `root`, a URL. Raises RowRejected (image)."""
    _check(reference)
    inside, whole = canonical(root.rstrip("/") + "/"), canonical(reference)
    if whole.startswith(inside):
        reference = whole[len(inside) :]
        if inside.startswith(("http://", "https://")):  # of a URL of the web, not of a path and not of a bucket's
            if not _PLAIN.fullmatch(reference):
                raise RowRejected(Code.IMAGE, "a URL with a query, which is not asked for")
            reference = unquote(reference, errors="surrogateescape")
    elif _FILE.match(reference) or _DRIVE.match(reference):
        raise RowRejected(Code.IMAGE, LEAVES)
    elif reference.startswith("//") or _URL.match(reference):
        raise RowRejected(Code.IMAGE, IS_URL)
    if reference.startswith("/"):
        raise RowRejected(Code.IMAGE, LEAVES)
    _check_climbing(reference)
    names = [name for name in reference.split("/") if name != "."]
    if "" in names:
        raise RowRejected(Code.IMAGE, "a path with an empty component, which is not read in an object store")
    try:
        reference.encode()
    except UnicodeEncodeError as error:
        raise RowRejected(Code.IMAGE, NO_PATH) from error
    key = posixpath.normpath("/".join(names)) if names else "."
    if key == ".":
        raise RowRejected(Code.IMAGE, MISSING)
    return key


def _check(reference: str) -> None:
    if not reference:
        raise RowRejected(Code.IMAGE, "empty path")
    if "\0" in reference:
        raise RowRejected(Code.IMAGE, NO_PATH)


def _check_climbing(path: str) -> None:
    """No path climbs above its start, read with the separators of either system."""
    for spelling in {path, path.replace("\\", "/")}:
        if posixpath.normpath(spelling).split("/")[0] == "..":
            raise RowRejected(Code.IMAGE, LEAVES)

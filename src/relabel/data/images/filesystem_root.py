"""An image root behind any other URL of fsspec, such as hf://. Its errors are told apart by their kinds alone."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.fs as pafs

from relabel.data.images.reference import MISSING, NO_PATH, key_of
from relabel.data.sources import files
from relabel.errors import RowRejected, SourceUnreadable
from relabel.rejected import Code


class FileSystemRoot:
    """Reads images by their paths below a URL."""

    def __init__(self, url: str) -> None:
        self._url = url

    def read(self, reference: str, max_bytes: int) -> bytes:
        """Raises RowRejected (image), and SourceUnreadable where the file system fails."""
        key = key_of(reference, self._url)
        filesystem, base = files.locate(self._url)
        place = f"{base.rstrip('/')}/{key}"
        try:
            info = filesystem.get_file_info(place)
            if info.type != pafs.FileType.File:
                raise RowRejected(Code.IMAGE, MISSING)
            if info.size is not None and info.size > max_bytes:
                raise RowRejected(Code.IMAGE, f"{info.size} bytes is over the limit of {max_bytes}")
            with filesystem.open_input_file(place) as handle:
                return handle.read(max_bytes + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise RowRejected(Code.IMAGE, MISSING) from error
        except PermissionError as error:
            raise RowRejected(Code.IMAGE, "not allowed to be read") from error
        except pa.ArrowInvalid as error:
            raise RowRejected(Code.IMAGE, NO_PATH) from error
        except (OSError, pa.ArrowException) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise SourceUnreadable(f"the image root {self._url} cannot be read: {why}") from error

    def check(self) -> None:
        """A file system says at each file whether it is the file."""

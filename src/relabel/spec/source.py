"""The section that says where rows are and how their files are written. Knows nothing of files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from relabel.spec.section import Section


class Source(Section):
    """Where the rows come from."""

    path: str | list[str]
    """A file, a folder, a glob (`**` too) or a list of them, local or at a URL: s3://, gs://, hf:// or any of
    fsspec."""
    format: Literal["parquet", "jsonl", "csv", "webdataset", "images", "openai"]
    """The format of the files. `images` is folders of image files; `openai` is batch files of OpenAI's API, whose rows
    bring their own messages and sampling settings."""
    delimiter: str | None = None
    """The character between two fields of a CSV file. The default is a comma, a semicolon, a tab or a bar, where the
    first records have equal numbers of fields by it."""
    encoding: str | None = None
    """The encoding of CSV files, such as `cp1252` or `utf-16`. The default is the one that the file's first bytes name,
    UTF-8, or cp1252 where it is no UTF-8."""
    quote: str | None = None
    """The character around a field of a CSV file that holds delimiters or line ends, or `none` where quotes are
    letters. The default is `"`, or `none` where the first records, of tabs, can only be read so."""
    escape: str | None = None
    """The character of a CSV file that makes the one after it a letter of its field, as a backslash before a quote. The
    default is a backslash where the first records can only be read so, or none: quotes in a field are doubled."""
    unit_rows: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Rows in one unit, the range of rows that is scheduled and published as one file. The default is 1,024 rows of
    text, or at most 128 rows with images, divided by the number of texts for each row."""
    removed: Literal["keep", "drop", "refuse"] = "keep"
    """What becomes of labels whose files are gone: they stay, are deleted, or the run is refused. Free to change."""
    image_root: str | None = None
    """The folder or URL that image paths in a column are relative to and may not leave, by default the source's."""

    @field_validator("path")
    @classmethod
    def _is_not_empty(cls, path: str | list[str]) -> str | list[str]:
        if not path or any(not pattern for pattern in path):
            raise ValueError("name at least one path")
        return path

    @field_validator("delimiter")
    @classmethod
    def _is_one_character(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n '):
            raise ValueError(r'a delimiter is one character, no quote, space or line end; a tab is "\t"')
        return delimiter

    @field_validator("quote")
    @classmethod
    def _is_one_quote(cls, quote: str | None) -> str | None:
        if quote not in (None, "none") and (len(quote) != 1 or quote.isalnum() or quote.isspace()):
            raise ValueError('a quote is one character that is no letter, such as a single quote, or "none"')
        return quote

    @field_validator("escape")
    @classmethod
    def _is_one_mark(cls, escape: str | None) -> str | None:
        if escape is not None and (len(escape) != 1 or escape.isalnum() or escape.isspace()):
            raise ValueError('an escape is one character that is no letter, such as "\\\\"')
        return escape

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str | None) -> str | None:
        try:
            if encoding is not None:
                "".encode(encoding)
        except (LookupError, UnicodeError, ValueError) as error:
            raise ValueError("Python knows no such encoding of text; name one such as cp1252 or utf-16") from error
        return encoding

    @model_validator(mode="after")
    def _is_of_csv(self) -> Source:
        if self.delimiter is not None and self.delimiter == self.quote:
            raise ValueError("delimiter and quote are the same character")
        if self.escape is not None and self.escape in (self.delimiter, self.quote or '"'):
            raise ValueError("escape is the same character as delimiter or quote; a doubled quote needs no escape")
        for key in ("delimiter", "encoding", "quote", "escape"):
            if getattr(self, key) is not None and self.format != "csv":
                raise ValueError(f"{key} goes with format: csv")
        return self

    @property
    def paths(self) -> list[str]:
        return [self.path] if isinstance(self.path, str) else list(self.path)

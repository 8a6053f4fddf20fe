"""A CSV file as text: its header, its cells, the line on which a row stands, and what is wrong with it as a whole."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.csv as pv

from pipeline.core.errors import ConfigError

LARGEST_FILE = 2_000_000_000  # bytes
csv.field_size_limit(LARGEST_FILE)  # Arrow, which reads the cells, has no smaller one
TEXTS = pa.dictionary(pa.int32(), pa.string())
_BLOCK = 1 << 22


def csv_header(path: Path) -> list[str]:
    """The names in the first line. Raises ConfigError where there is none."""
    with reading_text(path, errors="surrogateescape") as file:  # it looks at more than the first line
        try:
            names = next(csv.reader(islice(file, 100)), [])
            "".join(names).encode()
        except (UnicodeEncodeError, csv.Error):
            raise ConfigError("it is no CSV file in UTF-8", "Save it as CSV in UTF-8.", file=path, line=1) from None
    return names


def csv_table(path: Path, header: Sequence[str]) -> pa.Table:
    """Every cell as text, repeated texts once. Raises ConfigError where a row has not the columns of the first line."""
    require_size(path)
    try:
        table = pv.read_csv(
            path,
            read_options=pv.ReadOptions(block_size=_BLOCK),
            parse_options=pv.ParseOptions(newlines_in_values=True),
            convert_options=pv.ConvertOptions(
                column_types=dict.fromkeys(header, TEXTS), strings_can_be_null=False, quoted_strings_can_be_null=False
            ),
        )
    except (OSError, pa.ArrowException) as fault:
        raise _malformed(path, len(header), str(fault)) from None
    if _quotes(path) % 2:
        raise ConfigError("a quotation mark is never closed", "Close it, or write it twice.", file=path)
    return table


def require_size(path: Path) -> None:
    """Raises ConfigError for a file of more than 2 GB, which no memory would hold."""
    if path.stat().st_size > LARGEST_FILE:
        raise ConfigError("it is larger than 2 GB", "Split it by time and import one part after the other.", file=path)


def line_of(path: Path, row: int) -> int:
    """The line on which a row of a CSV file ends, the first row after the header being 0."""
    with reading_text(path) as file:
        rows = csv.reader(file)
        found = (cells for cells in rows if cells)
        next(islice(found, row + 1, None), None)
        return rows.line_num


def reading_text(path: Path, errors: str = "strict") -> TextIO:
    """A text file with or without a mark at its beginning, lines as they are. Raises ConfigError."""
    try:
        return path.open(newline="", encoding="utf-8-sig", errors=errors)
    except OSError as fault:
        raise ConfigError(f"it cannot be read: {fault.strerror}", "Name another file.", file=path) from None


def _quotes(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b'"') for block in iter(lambda: file.read(_BLOCK), b""))


def _malformed(path: Path, width: int, fault: str) -> ConfigError:
    """The first row that Arrow could not take, looked for with the slower reader that counts lines."""
    line: int | None = None
    what = re.sub(r":[^:]*\Z", "", fault) if "Expected" in fault else fault
    try:
        with reading_text(path) as file:
            rows = csv.reader(file)
            for cells in rows:
                if cells and len(cells) != width:
                    line, what = rows.line_num, f"a row of {len(cells)} columns, where the first line names {width}"
                    break
    except UnicodeDecodeError:
        line, what = _first_line_that_is_not_text(path), "it is not UTF-8"
    except csv.Error as error:
        line, what = rows.line_num, str(error)
    return ConfigError(what, "Mend the file; nothing was imported.", file=path, line=line)


def _first_line_that_is_not_text(path: Path) -> int | None:
    with path.open("rb") as file:
        for number, content in enumerate(file, start=1):
            try:
                content.decode()
            except UnicodeDecodeError:
                return number
    return None

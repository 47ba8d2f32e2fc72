"""Readers of rows from files, and from datasets in a folder or on the hub."""

from bakeoff.prompts.rows.dataset import DatasetPart, DatasetRows, read_dataset
from bakeoff.prompts.rows.files import (
    MAX_FILE_SIZE,
    Row,
    csv_rows,
    format_names,
    format_size,
    json_value,
    read_file,
    read_rows,
)

__all__ = [
    "MAX_FILE_SIZE",
    "DatasetPart",
    "DatasetRows",
    "Row",
    "csv_rows",
    "format_names",
    "format_size",
    "json_value",
    "read_dataset",
    "read_file",
    "read_rows",
]

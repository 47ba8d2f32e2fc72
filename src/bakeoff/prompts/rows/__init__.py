"""Where rows come from: files, and datasets of a folder or of the hub. Knows no prompt."""

from bakeoff.prompts.rows.dataset import Dataset, Part, read_dataset
from bakeoff.prompts.rows.files import (
    LARGEST,
    Row,
    csv_rows,
    json_value,
    listed,
    read_rows,
    read_whole,
    size,
)

__all__ = [
    "LARGEST",
    "Dataset",
    "Part",
    "Row",
    "csv_rows",
    "json_value",
    "listed",
    "read_dataset",
    "read_rows",
    "read_whole",
    "size",
]

#!/usr/bin/env python3
"""Writes `docs/results.schema.json`: the JSON Schema of `results.json`, made from the records.

    python scripts/make_schema.py

It describes what this version reads: a field that has a default may be missing. The words about the
fields are in `docs/results.md`.
"""

import json
from pathlib import Path

from bakeoff.records import SCHEMA, Results

FILE = Path(__file__).parents[1] / "docs" / "results.schema.json"


def schema() -> str:
    """The JSON Schema as text: the same for the same records, ending in a newline."""
    made = Results.model_json_schema(by_alias=True, mode="validation")
    made["properties"]["schema"]["const"] = SCHEMA
    made["required"] = ["schema", *made["required"]]
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"results.json of bakeoff, {SCHEMA}",
    }
    text = json.dumps(head | {key: made[key] for key in made if key != "title"}, indent=1)
    return text + "\n"


if __name__ == "__main__":
    FILE.write_text(schema(), encoding="utf-8")

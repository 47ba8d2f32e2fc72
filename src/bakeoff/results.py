"""The document that people keep, as they use it: from a file, in a notebook, as tables."""

from pathlib import Path

from pydantic import ValidationError

from bakeoff.errors import ConfigError
from bakeoff.records import SCHEMA
from bakeoff.records import Results as Document
from bakeoff.report.export import RESULTS


class Results(Document):
    """The results of a comparison or of an audit (`results.json`)."""


def folder_of(path: Path) -> Path:
    """Where the results are that a path names: a folder, or a file in it."""
    return path if path.is_dir() else path.parent


def read_results(path: Path | str) -> Results:
    """The results in a file, or in the `results.json` of a folder; ConfigError where none are."""
    file = Path(path)
    file = file / RESULTS if file.is_dir() else file
    try:
        results = Results.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read {str(file)!r} ({error.strerror})") from None
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"])) or "the file"
        raise ConfigError(
            f"{str(file)!r} holds no results of this version of bakeoff ({where}: {wrong['msg']})"
        ) from None
    if results.schema_ != SCHEMA:
        raise ConfigError(
            f"{str(file)!r} has the schema {results.schema_!r}, and this version reads {SCHEMA!r}: "
            "make it again with this version"
        )
    return results

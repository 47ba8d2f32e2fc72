"""Reading `results.json`."""

from pathlib import Path

from pydantic import ValidationError

from bakeoff.errors import ConfigError
from bakeoff.prompts.rows import read_file
from bakeoff.records import SCHEMA, Results
from bakeoff.report.export import RESULTS


def results_folder(path: Path) -> Path:
    """Return the folder of some results: `path` itself, or the folder of the file `path`."""
    return path if path.is_dir() else path.parent


def read_results(path: Path | str) -> Results:
    """Read results from a file, or from `results.json` in a folder.

    Raises ConfigError if the file cannot be read or has another schema.
    """
    file = Path(path)
    file = file / RESULTS if file.is_dir() else file
    try:
        results = Results.model_validate_json(read_file(file))
    except OSError as error:
        raise ConfigError(f"cannot read {str(file)!r} ({error.strerror})") from None
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))[:200] or "the file"
        words = " ".join(f"{where}: {problem['msg']}".split())
        raise ConfigError(
            f"{str(file)!r} holds no results of this version of bakeoff ({words})"
        ) from None
    if results.schema_ != SCHEMA:
        raise ConfigError(
            f"{str(file)!r} has the schema {results.schema_!r}, and this version reads {SCHEMA!r}: "
            "make it again with this version"
        )
    return results

"""Votes into evidence, and evidence out of results: people become judges like any other."""

from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from bakeoff.errors import ConfigError
from bakeoff.records import PEOPLE, SCHEMA, Evidence, Results
from bakeoff.voting.urn import read
from bakeoff.voting.votes import count, people_in


class Labels(NamedTuple):
    """Evidence with what people said in it, who they are, and how many votes are left out.

    `stale` votes are on other texts than those of the evidence.
    """

    evidence: Evidence
    voters: tuple[str, ...]
    stale: int


def folder_of(path: Path) -> Path:
    """Where the results are that a path names: a folder, or a file in it."""
    return path if path.is_dir() else path.parent


def read_results(path: Path) -> Results:
    """The results in a file, or in the `results.json` of a folder; ConfigError where none are."""
    file = path / "results.json" if path.is_dir() else path
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


def evidence_of(results: Results) -> Evidence:
    """What the results were made of."""
    return Evidence(
        models=tuple(model.model for model in results.summary.models),
        prompts=results.prompts,
        completions=results.completions,
        judgments=results.judgments,
        failures=results.failures,
        origins=results.origins,
        notes=results.summary.notes,
        drawn=results.drawn,
        null_check=results.null_check,
    )


def machines(evidence: Evidence) -> frozenset[str]:
    """The names that no voter may have: every model and every judge that is no person."""
    judges = {one.judge for one in evidence.judgments}
    judges |= {one.who for one in evidence.failures} | set(evidence.origins)
    return frozenset(evidence.models) | (judges - people_in(evidence))


def people(evidence: Evidence, file: Path) -> Labels:
    """The evidence with the votes of a file in it, in place of what its voters said before.

    It is `drawn` at random only where every vote is on a pair that was. Where there is no such
    file, the evidence as it is. ConfigError where the file cannot be read, or a voter has the name
    of a model or of a judge that is known to be no person.
    """
    votes = read(file)
    voters = {vote.voter for vote in votes}
    known = set(evidence.origins) - people_in(evidence)
    if both := voters & (known | set(evidence.models)):
        raise ConfigError(
            f"{min(both)!r} has voted in {str(file)!r} and is a model or judge of this comparison: "
            "give that one another name, as in name=backend:target"
        )
    counted = count(votes, evidence)
    before = tuple(one for one in evidence.judgments if one.judge not in voters)
    failed = tuple(one for one in evidence.failures if one.who not in voters)
    said = {one.judge for one in counted.judgments} | {one.who for one in counted.failures}
    kept = people_in(evidence) & {one.judge for one in before}
    drawn = {evidence.drawn} if kept or not votes else set()
    drawn |= {counted.drawn} if counted.drawn else set()
    others = {name: origin for name, origin in evidence.origins.items() if name not in voters}
    merged = evidence.model_copy(
        update={
            "judgments": (*before, *counted.judgments),
            "failures": (*failed, *counted.failures),
            "origins": others | dict.fromkeys(sorted(said), PEOPLE),
            "drawn": "chosen" if "chosen" in drawn else "random",
        }
    )
    return Labels(merged, tuple(sorted(kept | said)), counted.stale)

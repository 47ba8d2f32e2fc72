"""Judging stored pairs again, to see whether a judge still decides as its stored verdicts say.

A run that adds verdicts to stored ones assumes that both are of the same judge. Where a server
names another snapshot than the stored verdicts have, or the judge's name is a moving alias of a
provider and its verdicts are of an earlier run, the judge judges 20 stored pairs again, and twice
if any winner changed. The new verdicts are in the store, under keys that name the first verdict
that the run added: every run with both parts finds them, without a request.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bakeoff.config import Config
from bakeoff.errors import WorkError
from bakeoff.evaluation.cache import run_cached
from bakeoff.evaluation.pipeline import Pipeline
from bakeoff.evaluation.request_plan import JudgmentKey
from bakeoff.evaluation.run_history import RunHistory
from bakeoff.plugins import GENERATORS, JUDGES, backend_names, judge_spec
from bakeoff.records import JudgeDrift, Verdict
from bakeoff.runtime import current_stop_token
from bakeoff.runtime.progress import ProgressCounter

MAX_PAIRS = 20  # judged again
_PREFIX = "again:"  # of store keys: again:MARKER:NUMBER:KEY, hexadecimal apart from the number
_SNAPSHOT = re.compile(r"\d{4}-\d{2}-\d{2}|\d{6,8}|[-@:]\d{3,4}$|[0-9a-f]{12,}$")


class DriftChecks:
    """The checks of the judges of one run; create it after `Pipeline.resume`."""

    def __init__(self, pipeline: Pipeline, history: RunHistory) -> None:
        self._pipeline = pipeline
        self._history = history
        self._stored = {key for key, v in pipeline.verdicts.items() if isinstance(v, Verdict)}

    async def run(self) -> tuple[JudgeDrift, ...]:
        """Judge stored pairs again where needed; return all checks that concern this run."""
        for judge in self._pipeline.judges:
            await self._judge_again(judge)
        again = self._pipeline.store.get_all(_PREFIX, Verdict)
        if not again:
            return ()
        return tuple(
            drift for judge in self._pipeline.judges for drift in self._drifts(judge, again)
        )

    async def _judge_again(self, judge: str) -> None:
        """Judge stored pairs again if this run added verdicts that may be of another judge."""
        worker = self._pipeline.judges[judge]
        if worker.traits.exclusive or worker.traits.batch_only:
            return  # weights that do not change; a batch that may take a day
        verdicts = self._verdicts(judge)
        stored = {key: v for key, v in verdicts.items() if key in self._stored}
        added = {key: v for key, v in verdicts.items() if key not in self._stored}
        if not stored or not added or current_stop_token().reason is not None:
            return
        new_names = _snapshots(added.values())
        old = {key: v for key, v in stored.items() if v.snapshot and v.snapshot not in new_names}
        if not (old and new_names):
            unpinned = not any(map(_names_snapshot, new_names))
            moving = unpinned and is_moving_alias(self._pipeline.config, judge)
            if not (moving and self._history.judged_before(judge)):
                return
            old = stored
        chosen = _one_per_prompt(old)[:MAX_PAIRS]
        ((marker, _),) = self._pipeline.judge_requests(judge, [next(iter(added))])
        first = await self._request(judge, chosen, marker, 1)
        if any(_side(first[key]) != _side(old[key]) for key in first):
            await self._request(judge, chosen, marker, 2)

    async def _request(
        self, judge: str, keys: Sequence[JudgmentKey], marker: str, number: int
    ) -> dict[JudgmentKey, Verdict]:
        """Return the new verdicts with this number on these pairs, without those that failed."""
        verdicts: dict[JudgmentKey, Verdict] = {}

        def take(index: int, outcome: Verdict | WorkError) -> None:
            if isinstance(outcome, Verdict):
                verdicts[keys[index]] = outcome

        requests = [
            (f"{_PREFIX}{_bare(marker)}:{number}:{_bare(store_key)}", pair)
            for store_key, pair in self._pipeline.judge_requests(judge, keys)
        ]
        count = ProgressCounter("judgment", judge, len(requests), lambda _: None)
        worker, store = self._pipeline.judges[judge], self._pipeline.store
        await run_cached(worker, requests, store, Verdict, take, count)
        return verdicts

    def _drifts(self, judge: str, again: Mapping[str, Verdict]) -> Iterator[JudgeDrift]:
        """Yield the check of each marker whose verdict, and stored pairs, are part of this run."""
        verdicts = self._verdicts(judge)
        requests = self._pipeline.judge_requests(judge, verdicts)
        by_store_key = {
            _bare(key): v for (key, _), v in zip(requests, verdicts.values(), strict=True)
        }
        checks: dict[str, dict[str, dict[str, Verdict]]] = {}
        for key, verdict in again.items():
            marker, number, original = key.removeprefix(_PREFIX).split(":")
            if marker in by_store_key and original in by_store_key:
                checks.setdefault(marker, {}).setdefault(original, {})[number] = verdict
        for marker in sorted(checks):
            triples = [
                (by_store_key[original], by_number.get("1"), by_number.get("2"))
                for original, by_number in sorted(checks[marker].items())
            ]
            if pairs := [(old, new) for old, new, _ in triples if new]:
                complete = [(old, new, last) for old, new, last in triples if new and last]
                yield judge_drift(judge, pairs, complete)

    def _verdicts(self, judge: str) -> dict[JudgmentKey, Verdict]:
        """Return the verdicts of a judge on the contestants, in the order of the results."""
        names = set(self._pipeline.contestants)
        verdicts = {}
        for key in self._pipeline.plan.judgment_keys(judge):
            verdict = self._pipeline.verdicts.get(key)
            if isinstance(verdict, Verdict) and {key.first, key.second} <= names:
                verdicts[key] = verdict
        return verdicts


def drift_notes(drifts: Iterable[JudgeDrift]) -> Iterator[str]:
    """Yield a sentence for each check."""
    for drift in drifts:
        old, new = (" and ".join(names) for names in (drift.snapshots, drift.new_snapshots))
        names = f", {old} then and {new} now," if old and new and old != new else ""
        test = f" (p = {drift.p:.2g} that this is chance)" if drift.changed else ""
        yield (
            f"{drift.judge} judged {drift.pairs} stored pairs again{names} and named another "
            f"winner of {drift.changed}; the preference changed by "
            f"{100 * drift.mean_change:.0f} points on average{test}"
        )


def judge_drift(
    judge: str,
    pairs: Sequence[tuple[Verdict, Verdict]],
    triples: Sequence[tuple[Verdict, Verdict, Verdict]],
) -> JudgeDrift:
    """Return the drift of a judge.

    `pairs` are stored and new verdicts, `triples` a stored verdict and two new ones; each has at
    least one row, or there are no triples because no winner changed.
    """
    from scipy.special import bdtrc  # late: slow to import

    decisive = stored_differs = 0
    for old, new, last in triples:
        sides = [_side(old), _side(new), _side(last)]
        if len(set(sides)) == 2:
            decisive += 1
            stored_differs += sides[1] == sides[2]
    changes = [abs(old.first - new.first) for old, new in pairs]
    return JudgeDrift(
        judge=judge,
        pairs=len(pairs),
        changed=sum(_side(old) != _side(new) for old, new in pairs),
        mean_change=sum(changes) / len(changes),
        decisive=decisive,
        stored_differs=stored_differs,
        p=min(1.0, float(bdtrc(stored_differs - 1, decisive, 1 / 3))) if decisive else 1.0,
        snapshots=tuple(sorted(_snapshots(old for old, _ in pairs))),
        new_snapshots=tuple(sorted(_snapshots(new for _, new in pairs))),
    )


def is_moving_alias(config: Config, judge: str) -> bool:
    """Return whether a judge's name is one of a provider that names no snapshot (`gpt-4o`)."""
    local = {*backend_names(GENERATORS), *backend_names(JUDGES)}
    specs = [spec for spec in map(judge_spec, config.judge) if spec.name == judge]
    return any(spec.backend not in local and not _names_snapshot(spec.target) for spec in specs)


def _names_snapshot(name: str) -> bool:
    """Return whether a model name has a date, a version number at its end, or a hash."""
    return _SNAPSHOT.search(name) is not None


def _one_per_prompt(keys: Iterable[JudgmentKey]) -> list[JudgmentKey]:
    """Return the first key of each prompt, in order; prompts are in random order."""
    first: dict[str, JudgmentKey] = {}
    for key in keys:
        first.setdefault(key.prompt_id, key)
    return list(first.values())


def _bare(store_key: str) -> str:
    """Return a content key without its prefix."""
    return store_key.partition(":")[2]


def _side(verdict: Verdict) -> int:
    return (verdict.first > 0.5) - (verdict.first < 0.5)


def _snapshots(verdicts: Iterable[Verdict]) -> set[str]:
    return {verdict.snapshot for verdict in verdicts if verdict.snapshot}

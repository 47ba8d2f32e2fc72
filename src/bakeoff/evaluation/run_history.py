"""The finished runs that the store records, and which of them are earlier looks at a pair.

A look is a finished run that reported a verdict on more prompts than the runs before it, of the
same models (with their sampling settings) by the same judges. Runs on other prompts of the same
source, or with another seed, count; a repeated, resumed or rendered run does not, and neither does
one on fewer prompts than a verdict needs. Runs of shards are not recorded: their verdicts are on
parts of a run. Runs in other stores are not known.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from pydantic import JsonValue

from bakeoff.evaluation.participants import has_human_judge
from bakeoff.evaluation.pipeline import Pipeline
from bakeoff.evaluation.sequential import MIN_PROMPTS, ModelPair
from bakeoff.records import Design, Look, PairRun, PairSummary, StoredRun, Summary, content_key
from bakeoff.redact import masked
from bakeoff.runtime import Generator, to_daemon_thread, weights_of
from bakeoff.storage import RUN_PREFIX, Store

_SKETCH_SIZE = 512  # hashes of a run's prompts: two runs that share 1 % of them share a hash
_HASH = slice(3, 15)  # 48 bits of a content key, after its prefix

# Settings that change the verdicts on given prompts, models and judges, or how they are decided.
_SETTINGS = (
    *("seed", "orders", "pairs", "stop", "looks", "samples", "repeats", "panel", "margin"),
    "thinking",
)


class _ModelKeys(NamedTuple):
    """Hashes of one model."""

    settings: str
    """With its sampling settings, apart from the seed."""
    weights: str
    """Without sampling settings."""


class RunHistory:
    """The recorded runs, and the keys by which the pairs of one run are found among them."""

    def __init__(self, pipeline: Pipeline, stored: Iterable[StoredRun]) -> None:
        """Hash the models, judges and prompts of a pipeline; identities may read files."""
        self._config = pipeline.config
        self._pipeline = pipeline
        self._stored = sorted(stored, key=lambda run: run.time or "")
        self._models = {name: _model_keys(pipeline.models[name]) for name in pipeline.contestants}
        self._judges = sorted(pipeline.judges)
        self._hash_of_judge = {
            name: content_key(_without_seeds(judge.identity))
            for name, judge in pipeline.judges.items()
        }
        if has_human_judge(pipeline.config):
            self._judges.append("human")
            self._hash_of_judge["human"] = "human"
        self._judge_key = content_key(*sorted(self._hash_of_judge.values()))
        self._source = masked(pipeline.config.prompts)
        self._hashes = {
            id_: content_key(prompt.conversation())[_HASH]
            for id_, prompt in pipeline.prompts.items()
        }
        self._drawn = _sketch(self._hashes.values())
        self._settings = content_key(
            pipeline.config.model_dump(mode="json", include=set(_SETTINGS)),
            *sorted(self._hashes.values()),
        )
        self.looks = tuple(
            look for progress in pipeline.schedule.progress for look in self._looks(progress.pair)
        )
        """Earlier looks at the pairs of the run, oldest first for each pair."""

    def _design(self, pair: ModelPair) -> str:
        models = sorted(self._models[name].settings for name in pair)
        return content_key(*models, self._judge_key, self._settings)

    def _looks(self, pair: ModelPair) -> list[Look]:
        """Return the earlier looks at a pair, oldest first."""
        models = {self._models[name].settings for name in pair}
        design = self._design(pair)
        same = [
            run
            for run in self._stored
            if set(run.model_keys) == models and run.judge_key == self._judge_key
        ]
        looks: list[StoredRun] = []
        for run in same:
            if run.design == design or run.prompt_hashes == self._drawn:
                break  # this run, done before: what came later was no earlier look
            related = run.prompt_source == self._source or _overlap(run.prompt_hashes, self._drawn)
            enough = related and run.prompts >= MIN_PROMPTS
            if enough and all(_adds(run, look) for look in looks):
                looks.append(run)
        return [self._look(run, pair) for run in looks]

    def _look(self, run: StoredRun, pair: ModelPair) -> Look:
        same_order = run.model_keys[0] == self._models[pair[0]].settings
        a, b = pair if same_order else pair[::-1]
        return Look(a=a, b=b, prompts=run.prompts, outcome=run.outcome, time=run.time or "")

    def judged_before(self, judge: str) -> bool:
        """Return whether an earlier, other run with this judge has finished."""
        own, hash_ = set(map(self._design, self._pairs)), self._hash_of_judge[judge]
        return any(hash_ in run.judge_hashes and run.design not in own for run in self._stored)

    def other_runs(self) -> tuple[PairRun, ...]:
        """Return the recorded runs of the pairs of this run, without this run, oldest first."""
        return tuple(run.public() for pair in self._pairs for run in self._others(pair))

    def runs(self, summary: Summary) -> tuple[PairRun, ...]:
        """Return the runs of each pair of this run, oldest first; this run is without a time."""
        runs: list[PairRun] = []
        for pair in summary.pairs:
            others = self._others((pair.a, pair.b))
            if not pair.prompts:
                runs += [run.public() for run in others]
                continue
            own = self._stored_run(pair)
            in_order = sorted([*others, own], key=lambda run: run.time or "")
            runs += [run.public(current=run is own) for run in in_order]
        return tuple(runs)

    def record(self, summary: Summary) -> None:
        """Store this run of each pair, unless it is stored already."""
        with Store(self._config.store) as store:
            for pair in summary.pairs:
                if pair.prompts:
                    run = self._stored_run(pair)
                    store.put(RUN_PREFIX + content_key(run.design, run.prompts)[3:], run)

    @property
    def _pairs(self) -> list[ModelPair]:
        return [progress.pair for progress in self._pipeline.schedule.progress]

    def _others(self, pair: ModelPair) -> list[StoredRun]:
        """Return the other runs of a pair; a repeated one with its last outcome."""
        weights, own = {self._models[name].weights for name in pair}, self._design(pair)
        by_design: dict[str, StoredRun] = {}
        for run in self._stored:
            if set(run.weight_keys) == weights and run.design != own:
                first = by_design.get(run.design, run)
                by_design[run.design] = run.model_copy(update={"time": first.time})
        return list(by_design.values())

    def _stored_run(self, pair: PairSummary) -> StoredRun:
        """Return this run of a pair, with the time when it was recorded first, if it was."""
        schedule, a, b = self._pipeline.schedule, pair.a, pair.b
        design = self._design((a, b))
        times = [run.time for run in self._stored if run.design == design]
        ids = {prompt.id for prompt in schedule.prompts if (a, b) in schedule.pairs_on(prompt)}
        return StoredRun(
            a=a,
            b=b,
            judges=tuple(self._judges),
            judge_key=self._judge_key,
            prompt_source=self._source,
            seed=self._config.seed,
            prompts=pair.prompts,
            outcome=pair.outcome,
            win_rate=pair.win_rate,
            time=times[0] if times else datetime.now(UTC).isoformat(timespec="microseconds"),
            design=design,
            model_keys=(self._models[a].settings, self._models[b].settings),
            weight_keys=(self._models[a].weights, self._models[b].weights),
            judge_hashes=tuple(sorted(self._hash_of_judge.values())),
            prompt_hashes=_sketch(self._hashes[id_] for id_ in ids),
        )


async def load_history(pipeline: Pipeline) -> RunHistory:
    """Return the run history of a pipeline whose store is open, and pass it to the schedule."""
    stored = pipeline.store.get_all(RUN_PREFIX, StoredRun)
    history = await to_daemon_thread(partial(RunHistory, pipeline, stored.values()))
    pipeline.schedule.set_earlier_looks([(look.a, look.b) for look in history.looks])
    return history


def look_notes(design: Design) -> Iterator[str]:
    """Yield a sentence for each pair with earlier looks, and for each planned look."""
    by_pair: dict[ModelPair, list[Look]] = {}
    for look in design.looks:
        by_pair.setdefault((look.a, look.b), []).append(look)
    for (a, b), looks in by_pair.items():
        earlier = ", ".join(
            f"{look.prompts:,} prompts on {look.time[:10]} ({look.outcome})" for look in looks
        )
        yield (
            f"{design.label(a, b)} at {a} against {b}, after {earlier}: the confidence sequence "
            "from the first prompt decides, and its 95 % hold for all looks together"
        )
    for planned in design.planned:
        a, b = planned.a, planned.b
        if not design.for_pair(a, b).sequential:
            yield (
                f"{design.label(a, b)} at {a} against {b}: the interval has the level "
                f"{100 * (1 - planned.alpha):.4g} %, so that the error rate of all looks together "
                "is 5 % (O'Brien-Fleming)"
            )


def _model_keys(model: Generator) -> _ModelKeys:
    settings = content_key(_without_seeds(model.identity))
    return _ModelKeys(settings, weights_of(model) or settings)


def _without_seeds(identity: JsonValue) -> JsonValue:
    """Return an identity without its sampling seeds, at any depth."""
    if isinstance(identity, Mapping):
        return {key: _without_seeds(value) for key, value in identity.items() if key != "seed"}
    return [*map(_without_seeds, identity)] if isinstance(identity, list) else identity


def _sketch(hashes: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(hashes))[:_SKETCH_SIZE])


def _overlap(hashes: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether two sketches show that the runs share prompts."""
    return not set(hashes).isdisjoint(others)


def _adds(run: StoredRun, earlier: StoredRun) -> bool:
    """Return whether a run has prompts that an earlier run lacks, as far as sketches tell."""
    known = earlier.prompt_hashes
    highest = known[-1] if len(known) == _SKETCH_SIZE else None
    new = set(run.prompt_hashes) - set(known)
    return any(highest is None or hash_ <= highest for hash_ in new)

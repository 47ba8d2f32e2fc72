"""Specs, the config, and its flags and files."""

import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from bakeoff.cli import app
from bakeoff.config import EMBEDDED_DEFAULT, Config, Sampling, Spec, load_config, parse_fields
from bakeoff.errors import ConfigError
from bakeoff.redact import masked

T = TypeVar("T")


def result_or_error(work: Callable[[], T]) -> T | str:
    try:
        return work()
    except ConfigError as error:
        return str(error)


# Spec


@pytest.mark.parametrize(
    ("token", "name", "backend", "target", "options"),
    [
        ("me/tuned", "me/tuned", "hf", "me/tuned", {}),
        ("gpt2", "gpt2", "hf", "gpt2", {}),
        ("./out/checkpoint-9", "./out/checkpoint-9", "hf", "./out/checkpoint-9", {}),
        ("/abs/run=3", "/abs/run=3", "hf", "/abs/run=3", {}),
        ("hf:me/tuned", "hf:me/tuned", "hf", "me/tuned", {}),
        ("tuned=hf:me/tuned", "tuned", "hf", "me/tuned", {}),
        ("tuned=me/tuned", "tuned", "hf", "me/tuned", {}),
        (" tuned = hf:me/tuned ", "tuned", "hf", "me/tuned", {}),
        ("hf:m?dtype=bf16&device=cpu", "hf:m", "hf", "m", {"dtype": "bf16", "device": "cpu"}),
        ("m?dtype=bf16", "m", "hf", "m", {"dtype": "bf16"}),
        ("api:llama3:8b", "api:llama3:8b", "api", "llama3:8b", {}),
        (
            "a=api:m?base_url=http://localhost:8000/v1?x=1",
            "a",
            "api",
            "m",
            {"base_url": "http://localhost:8000/v1?x=1"},
        ),
        ("http://host/model", "http://host/model", "hf", "http://host/model", {}),
        ("file:a=b.jsonl", "file:a=b.jsonl", "file", "a=b.jsonl", {}),
        ("echo:", "echo:", "echo", "", {}),
        (
            "echo:hi+you?system=a+b%20c%26d%3D",
            "echo:hi+you",
            "echo",
            "hi+you",
            {"system": "a+b c&d="},
        ),
        ("m?", "m", "hf", "m", {}),
        ("m?a=&&b=2", "m", "hf", "m", {"a": "", "b": "2"}),
        ("Modèle 1=hf:m", "Modèle 1", "hf", "m", {}),
    ],
)
def test_a_spec_is_parsed(
    token: str, name: str, backend: str, target: str, options: dict[str, str]
) -> None:
    assert Spec.parse(token) == Spec(name=name, backend=backend, target=target, options=options)


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("", "'' names no model"),
        ("  ", "names no model"),
        ("hf:", "'hf:' names no model"),
        ("a=", "'a=' names no model"),
        ("a=hf:?dtype=bf16", "names no model"),
        ("m?dtype", "write the option 'dtype' as option=value"),
        ("m?=bf16", "write the option '=bf16' as option=value"),
        ("m?a=1&a=2", "the option 'a' stands there twice"),
        ("one\ntwo?x", r"'one\ntwo?x'"),
    ],
)
def test_an_invalid_spec_is_a_one_line_error(token: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Spec.parse(token)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


safe = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters=":/?=&"))
names = safe.filter(bool)
backends = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
targets = st.builds("/".join, st.lists(names, min_size=1, max_size=3)) | st.builds(
    "{}:{}".format, names, names
)
options = st.dictionaries(names, st.text(max_size=8).filter(lambda t: "\0" not in t), max_size=3)


@given(names, backends, targets, options)
def test_a_formatted_spec_is_parsed_back(
    name: str, backend: str, target: str, options: dict[str, str]
) -> None:
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in options.items())
    spec = Spec.parse(f"{name}={backend}:{target}?{query}")
    assert spec == Spec(name=name, backend=backend, target=target, options=options)
    assert Spec.parse(f"{backend}:{target}?{query}").name == f"{backend}:{target}"


@given(names, backends)
def test_a_bare_name_has_the_default_backend(name: str, default: str) -> None:
    assert Spec.parse(name, default=default) == Spec(name=name, backend=default, target=name)
    assert Spec.parse(name).backend == "hf"


@given(st.text(string.printable, max_size=24))
def test_any_text_is_a_spec_or_a_one_line_error_that_quotes_it(text: str) -> None:
    parsed = result_or_error(lambda: Spec.parse(text))
    if isinstance(parsed, Spec):
        assert parsed.target or parsed.backend == "echo"
        assert parsed.name
    else:
        assert "\n" not in parsed
        assert masked(repr(text.strip())) in parsed


# Config

FLAT = {
    "model": st.lists(names, min_size=1, max_size=3).map(tuple),
    "judge": st.lists(names, min_size=1, max_size=2).map(tuple),
    "prompts": names,
    "limit": st.integers(1, 10**6),
    "seed": st.integers(-(10**6), 10**6),
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0.01, 1),
    "max_tokens": st.integers(1, 10**6),
    "system": names,
    "thinking": st.sampled_from(["strip", "keep"]),
    "baseline": names,
    "pairs": st.sampled_from(["all", "adaptive"]),
    "orders": st.sampled_from(["both", "random", "adaptive"]),
    "stop": st.sampled_from(["never", "early"]),
    "looks": st.integers(1, 5),
    "samples": st.integers(1, 9),
    "shard": st.sampled_from(["1/1", "2/8"]),
    "margin": st.floats(0, 50),
    "repeats": st.integers(1, 9),
    "panel": st.sampled_from(["mean", "majority"]),
    "null_check": st.integers(0, 99),
    "max_concurrency": st.integers(1, 99),
    "rpm": st.floats(0.1, 10**6),
    "tpm": st.floats(0.1, 10**9),
    "max_cost": st.floats(0, 10**6),
    "yes": st.just(True),
    "env_file": st.from_regex(r"[a-z]{1,5}\.env", fullmatch=True),
    "batch": st.booleans(),
    "ray": names,
    "out": st.from_regex(r"[a-z]{1,5}(/[a-z]{1,5})?", fullmatch=True),
    "store": st.from_regex(r"[a-z]{1,5}\.sqlite", fullmatch=True),
    "show_samples": st.integers(0, 99),
    "json": st.just(True),
    "quiet": st.just(True),
    "profile": st.just(True),
    "max_failures": st.floats(0, 1),
    "allow_self_judge": st.just(True),
}
given_fields = st.fixed_dictionaries({}, optional=FLAT)


def config_of_flags(*tokens: str) -> Config:
    """The Config that `bakeoff run` makes of its flags; nothing is run."""
    configs: list[Config] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakeoff.cli.comparison.compare", lambda config: configs.append(config) or 0)
        app(["run", *tokens], exit_on_error=False, print_error=False)
    (config,) = configs
    return config


def flags(fields: dict[str, Any]) -> list[str]:
    tokens = []
    for name, value in fields.items():
        flag = "--" + name.replace("_", "-")
        values = value if isinstance(value, tuple) else [value]
        tokens += [flag if value is True else f"{flag}={item}" for item in values]
    return tokens


def write(values: Any, path: Path = Path("run.yaml")) -> Path:
    if isinstance(values, dict):
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
    text = values if isinstance(values, str) else yaml.safe_dump(values, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_config_has_at_most_37_described_fields() -> None:
    fields = Config.model_fields
    assert len(fields) <= 37
    assert all(
        field.description and field.description.endswith((".", "]")) for field in fields.values()
    )
    assert {field.alias or name for name, field in fields.items()} == set(FLAT)


@given(given_fields)
def test_flags_yaml_and_arguments_give_the_same_config(fields: dict[str, Any]) -> None:
    config = Config(**fields)
    assert config_of_flags(*flags(fields)) == config
    assert load_config(write(fields), {}) == config
    assert load_config(None, fields) == config
    configs = [config_of_flags(*flags(fields)), load_config(write(fields), {}), config]
    assert len({frozenset(each.model_fields_set) for each in configs}) == 1


@given(given_fields, given_fields)
def test_a_flag_overrides_the_file(in_file: dict[str, Any], in_flags: dict[str, Any]) -> None:
    path = write(in_file)
    merged = Config(**{**in_file, **in_flags})
    assert load_config(path, in_flags) == merged
    assert config_of_flags("--config", str(path), *flags(in_flags)) == merged


@pytest.mark.parametrize("spelling", ["json", "print_json"])
@pytest.mark.parametrize("other", ["json", "print_json"])
def test_a_flag_overrides_the_file_by_name_and_alias(spelling: str, other: str) -> None:
    assert load_config(write({spelling: False}), {other: True}).print_json
    assert not load_config(write({spelling: True}), {other: False}).print_json


def test_a_single_model_in_a_file_needs_no_list() -> None:
    config = load_config(write("model: a=hf:me/a\njudge: gpt-4\n"), {})
    assert (config.model, config.judge) == (("a=hf:me/a",), ("gpt-4",))


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}"])
def test_an_empty_file_sets_nothing(text: str) -> None:
    assert load_config(write(text), {"limit": 3}) == Config(limit=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limits: 5", "no option 'limits'; there are: model, judge, prompts, limit, seed"),
        ("limit: many", "limit = 'many': Input should be a valid integer"),
        ("limit: 0", "limit = 0: Input should be greater than or equal to 1"),
        ("system: [a]", "system = ['a']: Input should be a valid string"),
        ("model: {a: b}", "model = {'a': 'b'}: "),
        ("model:", "model = None: "),
        ("model: [1]", "model.0 = 1: "),
        ("orders: twice", "orders = 'twice': Input should be 'both', 'random' or 'adaptive'"),
        ("temperature: .nan", "temperature = nan: "),
        ("1: 2", "no option '1'; there are: model"),
        ("- limit", "has to hold keys and values"),
        ("limit", "has to hold keys and values"),
        ("limit: [", "cannot read 'run.yaml': while parsing"),
        ("limit: !!python/object:os.system 1", "cannot read 'run.yaml': could not determine"),
        ("a: \x00", "cannot read 'run.yaml': "),
    ],
)
def test_a_mistake_in_a_file_is_a_one_line_error_that_names_it(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(text), {})
    assert message in str(caught.value)
    assert "run.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_error_of_an_unknown_option_lists_all_options() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write("colour: red"), {})
    listed = str(caught.value).partition("there are: ")[2].split(", ")
    assert listed == list(FLAT)


@pytest.mark.parametrize("place", ["missing.yaml", ".", "binary.yaml", "binary.yaml/below"])
def test_an_unreadable_file_is_a_one_line_error_that_names_it(place: str) -> None:
    Path("binary.yaml").write_bytes(b"\xff\xfe\x00limit")
    with pytest.raises(ConfigError) as caught:
        load_config(Path(place), {})
    assert str(caught.value).startswith(f"cannot read {place!r}: ")
    assert "\n" not in str(caught.value)


def test_the_error_of_a_mistake_without_a_file_names_the_flags() -> None:
    with pytest.raises(ConfigError, match=r"^the flags: limit = 0: "):
        load_config(None, {"limit": 0})


@given(given_fields)
def test_resolving_changes_only_fields_that_were_not_set(fields: dict[str, Any]) -> None:
    config = Config(**fields)
    resolved = result_or_error(config.resolved)
    assume(isinstance(resolved, Config))  # conflicting fields are tested below
    assert isinstance(resolved, Config)
    shard = {"store": f".bakeoff/shard-{'-of-'.join(map(str, config.shard_index))}.sqlite"}
    shard["out"] = f"results/shard-{'-of-'.join(map(str, config.shard_index))}"
    for name in Config.model_fields:
        value, before = getattr(resolved, name), getattr(config, name)
        if name in config.model_fields_set:
            assert value == before
        elif config.shard and name in shard:
            assert value == Path(shard[name])
        elif "model" not in fields:
            assert value == EMBEDDED_DEFAULT.get(name, before)
        else:
            assert value == (("gpt-4",) if name == "judge" else before)
    assert resolved.resolved() == resolved
    assert Config.model_validate(resolved.model_dump()) == resolved


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"baseline": "b"}, "--baseline is what a model is compared with"),
        ({"model": ("a", "c"), "baseline": "b", "pairs": "adaptive"}, "says which they are"),
        ({"shard": "3/2"}, "--shard 3/2: there is no such part; the last is 2/2"),
        ({"looks": 3, "stop": "early"}, "--looks 3 checks the verdict at planned numbers of"),
        ({"looks": 2, "pairs": "adaptive"}, "and --pairs adaptive after every prompt: leave out"),
        ({"shard": "1/2", "looks": 3}, "--looks goes by what the whole shows"),
        ({"shard": "1/2", "stop": "early"}, "--stop early goes by what the whole shows"),
        ({"shard": "1/2", "orders": "adaptive"}, "--orders adaptive goes by what the whole"),
        ({"shard": "1/2", "pairs": "adaptive"}, "--pairs adaptive goes by what the whole"),
    ],
)
def test_conflicting_fields_are_an_error(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**fields).resolved()
    assert message in str(caught.value)


@pytest.mark.parametrize("shard", ["0/2", "1", "1/0", "-1/2", "a/b", "1/2/3", "1 /2", "", "/2"])
def test_an_invalid_shard_is_an_error(shard: str) -> None:
    with pytest.raises(ConfigError, match="shard = "):
        load_config(None, {"shard": shard})


@given(st.integers(0, 40), st.integers(1, 12), st.integers(1, 60))
def test_the_null_checks_of_all_shards_make_up_that_of_the_run(
    null: int, shards: int, count: int
) -> None:
    expected = set(range(count)[:null])
    parts = [Config(null_check=null, shard=f"{number}/{shards}") for number in range(1, shards + 1)]
    selected = [range(count)[c.shard_index[0] - 1 :: shards][: c.null_prompts] for c in parts]
    assert sorted(place for part in selected for place in part) == sorted(expected)


def test_the_baseline_is_the_last_contestant() -> None:
    models = ("base=hf:b", "tuned=hf:t?dtype=float16")
    for baseline in ("base", "base=hf:b", "hf:other", "base=hf:ignored"):
        config = Config(model=models, baseline=baseline)
        names = [Spec.parse(token).name for token in config.contestants]
        assert names == (
            ["base", "tuned", "hf:other"] if baseline == "hf:other" else ["tuned", "base"]
        )
    assert Config(model=models, baseline="base").contestants[-1] == "base=hf:b"
    assert Config(model=models).contestants == models


@given(st.integers(-(2**40), 2**40), st.integers(1, 50))
def test_each_sample_has_its_own_seed(seed: int, samples: int) -> None:
    sampling = Sampling(seed=seed)
    seeds = [sampling.seed_of(sample) for sample in range(samples)]
    assert seeds[0] == seed
    assert len(set(seeds)) == samples
    assert all(0 <= sample_seed < 2**31 for sample_seed in seeds[1:])


@given(given_fields)
def test_sampling_has_the_sampling_fields_of_the_config(fields: dict[str, Any]) -> None:
    sampling = Config(**fields).sampling()
    sampling_fields = {
        name: value for name, value in fields.items() if name in Sampling.model_fields
    }
    assert sampling == Sampling(**sampling_fields)


def test_a_config_is_frozen_and_rejects_unknown_fields() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().limit = 3  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Config(colour="red")  # type: ignore[call-arg]


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.floats(), max_size=3))
def test_parse_fields_returns_the_fields_or_raises_a_one_line_error(values: dict[str, Any]) -> None:
    parsed = result_or_error(lambda: parse_fields(Sampling, values, where="m"))
    if isinstance(parsed, Sampling):
        assert parsed.model_fields_set == set(values)
    else:
        assert re.fullmatch(r"m: .+", parsed)

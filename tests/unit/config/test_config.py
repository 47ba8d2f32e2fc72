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
from bakeoff.cli import run as run_command
from bakeoff.config import EMBEDDED_DEFAULT, Config, Sampling, Spec, load_config, parse_fields
from bakeoff.errors import ConfigError
from bakeoff.redact import masked

T = TypeVar("T")


def result_or_complaint(work: Callable[[], T]) -> T | str:
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
def test_one_token_says_what_a_model_is(
    token: str, name: str, backend: str, target: str, options: dict[str, str]
) -> None:
    assert Spec.parse(token) == Spec(name=name, backend=backend, target=target, options=options)


@pytest.mark.parametrize(
    ("token", "says"),
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
def test_a_token_that_cannot_be_read_is_told_so_in_one_line(token: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Spec.parse(token)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


safe = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters=":/?=&"))
names = safe.filter(bool)
backends = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
targets = st.builds("/".join, st.lists(names, min_size=1, max_size=3)) | st.builds(
    "{}:{}".format, names, names
)
options = st.dictionaries(names, st.text(max_size=8).filter(lambda t: "\0" not in t), max_size=3)


@given(names, backends, targets, options)
def test_a_spec_that_is_written_out_is_read_back(
    name: str, backend: str, target: str, options: dict[str, str]
) -> None:
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in options.items())
    spec = Spec.parse(f"{name}={backend}:{target}?{query}")
    assert spec == Spec(name=name, backend=backend, target=target, options=options)
    assert Spec.parse(f"{backend}:{target}?{query}").name == f"{backend}:{target}"


@given(names, backends)
def test_a_bare_name_is_the_default_backend_s(name: str, default: str) -> None:
    assert Spec.parse(name, default=default) == Spec(name=name, backend=default, target=name)
    assert Spec.parse(name).backend == "hf"


@given(st.text(string.printable, max_size=24))
def test_any_text_is_a_spec_or_one_line_that_quotes_it(text: str) -> None:
    read = result_or_complaint(lambda: Spec.parse(text))
    if isinstance(read, Spec):
        assert read.target or read.backend == "echo"
        assert read.name
    else:
        assert "\n" not in read
        assert masked(repr(text.strip())) in read


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
    "stop": st.sampled_from(["never", "when-sure"]),
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


def by_flags(*tokens: str) -> Config:
    """The Config that the command makes of its flags: the comparison itself is left out."""
    made: list[Config] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_command, "compare", lambda config: made.append(config) or 0)
        app(["run", *tokens], exit_on_error=False, print_error=False)
    (config,) = made
    return config


def flags(fields: dict[str, Any]) -> list[str]:
    tokens = []
    for name, value in fields.items():
        flag = "--" + name.replace("_", "-")
        values = value if isinstance(value, tuple) else [value]
        tokens += [flag if value is True else f"{flag}={one}" for one in values]
    return tokens


def write(values: Any, path: Path = Path("run.yaml")) -> Path:
    if isinstance(values, dict):
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
    text = values if isinstance(values, str) else yaml.safe_dump(values, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_fields_are_few_flat_and_described() -> None:
    fields = Config.model_fields
    assert len(fields) <= 36
    assert all(
        field.description and field.description.endswith((".", "]")) for field in fields.values()
    )
    assert {field.alias or name for name, field in fields.items()} == set(FLAT)


@given(given_fields)
def test_flags_yaml_and_arguments_are_the_same_config(fields: dict[str, Any]) -> None:
    config = Config(**fields)
    assert by_flags(*flags(fields)) == config
    assert load_config(write(fields), {}) == config
    assert load_config(None, fields) == config
    sets = [by_flags(*flags(fields)), load_config(write(fields), {}), config]
    assert len({frozenset(one.model_fields_set) for one in sets}) == 1


@given(given_fields, given_fields)
def test_a_flag_wins_over_the_file(in_file: dict[str, Any], given: dict[str, Any]) -> None:
    path = write(in_file)
    both = Config(**{**in_file, **given})
    assert load_config(path, given) == both
    assert by_flags("--config", str(path), *flags(given)) == both


@pytest.mark.parametrize("spelling", ["json", "print_json"])
@pytest.mark.parametrize("other", ["json", "print_json"])
def test_a_flag_wins_by_either_of_its_names(spelling: str, other: str) -> None:
    assert load_config(write({spelling: False}), {other: True}).print_json
    assert not load_config(write({spelling: True}), {other: False}).print_json


def test_one_model_in_a_file_needs_no_list() -> None:
    config = load_config(write("model: a=hf:me/a\njudge: gpt-4\n"), {})
    assert (config.model, config.judge) == (("a=hf:me/a",), ("gpt-4",))


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}"])
def test_an_empty_file_asks_for_nothing(text: str) -> None:
    assert load_config(write(text), {"limit": 3}) == Config(limit=3)


@pytest.mark.parametrize(
    ("text", "says"),
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
def test_a_mistake_in_a_file_is_one_line_that_names_it(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(text), {})
    assert says in str(caught.value)
    assert "run.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_option_there_is_is_listed_for_one_that_is_not() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write("colour: red"), {})
    listed = str(caught.value).partition("there are: ")[2].split(", ")
    assert listed == list(FLAT)


@pytest.mark.parametrize("place", ["missing.yaml", ".", "binary.yaml", "binary.yaml/below"])
def test_what_is_no_text_file_is_one_line_that_names_it(place: str) -> None:
    Path("binary.yaml").write_bytes(b"\xff\xfe\x00limit")
    with pytest.raises(ConfigError) as caught:
        load_config(Path(place), {})
    assert str(caught.value).startswith(f"cannot read {place!r}: ")
    assert "\n" not in str(caught.value)


def test_a_mistake_without_a_file_is_the_flags() -> None:
    with pytest.raises(ConfigError, match=r"^the flags: limit = 0: "):
        load_config(None, {"limit": 0})


@given(given_fields)
def test_defaults_are_chosen_only_where_nothing_was_set(fields: dict[str, Any]) -> None:
    config = Config(**fields)
    settled = result_or_complaint(config.resolved)
    assume(isinstance(settled, Config))  # which fields do not go together is tested below
    assert isinstance(settled, Config)
    shard = {"store": f".bakeoff/shard-{'-of-'.join(map(str, config.shard_index))}.sqlite"}
    shard["out"] = f"results/shard-{'-of-'.join(map(str, config.shard_index))}"
    for name in Config.model_fields:
        value, was = getattr(settled, name), getattr(config, name)
        if name in config.model_fields_set:
            assert value == was
        elif config.shard and name in shard:
            assert value == Path(shard[name])
        elif "model" not in fields:
            assert value == EMBEDDED_DEFAULT.get(name, was)
        else:
            assert value == (("gpt-4",) if name == "judge" else was)
    assert settled.resolved() == settled
    assert Config.model_validate(settled.model_dump()) == settled


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"baseline": "b"}, "--baseline is what a model is compared with"),
        ({"model": ("a", "c"), "baseline": "b", "pairs": "adaptive"}, "says which they are"),
        ({"shard": "3/2"}, "--shard 3/2: there is no such part; the last is 2/2"),
        ({"shard": "1/2", "stop": "when-sure"}, "--stop when-sure goes by what the whole shows"),
        ({"shard": "1/2", "orders": "adaptive"}, "--orders adaptive goes by what the whole"),
        ({"shard": "1/2", "pairs": "adaptive"}, "--pairs adaptive goes by what the whole"),
    ],
)
def test_what_does_not_go_together_is_said(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**fields).resolved()
    assert says in str(caught.value)


@pytest.mark.parametrize("shard", ["0/2", "1", "1/0", "-1/2", "a/b", "1/2/3", "1 /2", "", "/2"])
def test_a_shard_is_one_number_of_another(shard: str) -> None:
    with pytest.raises(ConfigError, match="shard = "):
        load_config(None, {"shard": shard})


@given(st.integers(0, 40), st.integers(1, 12), st.integers(1, 60))
def test_the_null_check_of_all_parts_is_that_of_the_whole(null: int, of: int, count: int) -> None:
    whole = set(range(count)[:null])
    parts = [Config(null_check=null, shard=f"{which}/{of}") for which in range(1, of + 1)]
    found = [range(count)[c.shard_index[0] - 1 :: of][: c.null_prompts] for c in parts]
    assert sorted(place for part in found for place in part) == sorted(whole)


def test_the_baseline_comes_last_whether_it_was_named_or_is_a_model_of_its_own() -> None:
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
def test_each_of_several_completions_has_a_seed_of_its_own(seed: int, samples: int) -> None:
    sampling = Sampling(seed=seed)
    seeds = [sampling.seed_of(sample) for sample in range(samples)]
    assert seeds[0] == seed
    assert len(set(seeds)) == samples
    assert all(0 <= one < 2**31 for one in seeds[1:])


@given(given_fields)
def test_sampling_is_what_the_config_says_of_it(fields: dict[str, Any]) -> None:
    sampling = Config(**fields).sampling()
    said = {name: value for name, value in fields.items() if name in Sampling.model_fields}
    assert sampling == Sampling(**said)


def test_a_config_is_frozen_and_knows_its_fields() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().limit = 3  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Config(colour="red")  # type: ignore[call-arg]


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.floats(), max_size=3))
def test_values_from_outside_are_fields_or_one_line(values: dict[str, Any]) -> None:
    read = result_or_complaint(lambda: parse_fields(Sampling, values, where="m"))
    if isinstance(read, Sampling):
        assert read.model_fields_set == set(values)
    else:
        assert re.fullmatch(r"m: .+", read)

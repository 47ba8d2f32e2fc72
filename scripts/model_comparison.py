#!/usr/bin/env python3
"""Compare a trained model with a baseline: the guide's flags, in front of `bakeoff run`.

    python scripts/model_comparison.py
    python scripts/model_comparison.py --model1 ./checkpoints/grpo-300 --num-samples 20
    python scripts/model_comparison.py --dataset custom --custom-prompts my_prompts.jsonl
    python scripts/model_comparison.py --model1 embedded:smollm2 --model2 embedded:gemma3-270m \\
        --judge-model embedded:qwen2.5-coder-0.5b --dataset starter --max-tokens 96

The last one runs anywhere: no key, no GPU. The others need a judge, by default gpt-4 and its key in
OPENAI_API_KEY. Models, judge and dataset are written as for `bakeoff run`; each two models have a
folder of their own under the output directory. See MODEL_COMPARISON_GUIDE.md.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from bakeoff.cli import run_with_exit_code
from bakeoff.cli.comparison import compare
from bakeoff.config import Config, Spec, load_config
from bakeoff.errors import ConfigError

MODEL1 = (
    "friendshipkim/Qwen2.5-1.5B-ultrachat-qrm-p16-g8-ts300-lr2e-6-warmup0.05-ps0.2-preps0.0-rho0"
)
MODEL2 = "Qwen/Qwen2.5-1.5B-Instruct"
# Fields of the Config whose flags have the same names here.
SAME_NAMES = ("pairs", "orders", "stop", "samples", "shard", "ray")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ConfigErrors, printed in one line as by `bakeoff`."""

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError instead of printing the usage."""
        raise ConfigError(message)


def parser() -> Parser:
    """The argument parser with the flags of MODEL_COMPARISON_GUIDE.md and their defaults."""
    description, _, epilog = (__doc__ or "").partition("\n\n")
    flags = Parser(
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    flags.add_argument("--model1", default=MODEL1, help="the trained model [%(default)s]")
    flags.add_argument("--model2", default=MODEL2, help="the baseline [%(default)s]")
    flags.add_argument(
        "--model", action="append", default=[], metavar="MODEL", help="one more, as often as wanted"
    )
    flags.add_argument(
        "--baseline", metavar="MODEL", help="compare with this one only, and no two others"
    )
    flags.add_argument(
        "--dataset",
        help="ultrachat, starter, custom (the file of --custom-prompts), hf:DATASET or a file "
        "[ultrachat; custom where there is a --custom-prompts]",
    )
    flags.add_argument("--custom-prompts", metavar="FILE", help="a .jsonl, .json, .csv or .txt")
    flags.add_argument("--num-samples", type=int, default=50, help="prompts [%(default)s]")
    flags.add_argument("--judge-model", default="gpt-4", help="[%(default)s]")
    flags.add_argument("--output-dir", type=Path, default=Path("comparison_results"))
    flags.add_argument("--show-samples", type=int, default=5, help="to print [%(default)s]")
    flags.add_argument("--seed", type=int, default=42, help="[%(default)s]")
    flags.add_argument("--temperature", type=float, default=0.7, help="[%(default)s]")
    flags.add_argument("--top-p", type=float, default=0.9, help="[%(default)s]")
    flags.add_argument("--max-tokens", type=int, default=1024, help="[%(default)s]")
    flags.add_argument("--batch-size", type=int, help="of a model that is loaded here")
    flags.add_argument("--api-key-env", metavar="NAME", help="where the judge's key is")
    flags.add_argument("--base-url", metavar="URL", help="the judge's server, up to /v1")
    flags.add_argument("--delay", type=float, help="least seconds between two requests to it")
    for name in SAME_NAMES:
        flags.add_argument(f"--{name}", help=f"as of bakeoff run: {description_of(name)}")
    return flags


def description_of(name: str) -> str:
    """The description of a field of the Config, escaped for argparse."""
    description = Config.model_fields[name].description or ""
    return description.replace("%", "%%")


def config_of(args: argparse.Namespace) -> Config:
    """The arguments as a Config. Raises ConfigError for an invalid value."""
    out = args.output_dir / folder_of(*models_of(args), *filter(None, [args.baseline]))
    if args.shard:
        out /= f"shard-{args.shard.replace('/', '-of-')}"
    fields = {
        "model": tuple(model_of(model, args.batch_size) for model in models_of(args)),
        "judge": (judge_of(args),),
        "prompts": prompts_of(args.dataset, args.custom_prompts),
        "limit": args.num_samples,
        "out": out,
    }
    names = ("show_samples", "seed", "temperature", "top_p", "max_tokens", *SAME_NAMES, "baseline")
    same = {name: getattr(args, name) for name in names}
    return load_config(
        None, fields | {name: value for name, value in same.items() if value is not None}
    )


def models_of(args: argparse.Namespace) -> tuple[str, ...]:
    """The models compared. `--baseline` replaces the default of `--model2`."""
    if args.baseline is not None and args.model2 == MODEL2:
        return (args.model1, *args.model)
    return (args.model1, args.model2, *args.model)


def model_of(model: str, batch_size: int | None) -> str:
    """The spec of a model, with the batch size if its backend is `hf`."""
    local = Spec.parse(model).backend == "hf"
    return with_options(model, batch_size=batch_size if local else None)


def judge_of(args: argparse.Namespace) -> str:
    """The spec of the judge; with `--base-url` a name without backend is a model of that server."""
    judge = Spec.parse(args.judge_model, default="")
    text = args.judge_model.strip()
    if args.base_url is not None and not judge.backend:
        name = "" if judge.name == judge.target else f"{judge.name}="
        text = f"{name}api:{text.removeprefix(name)}"
    return with_options(
        text, base_url=args.base_url, api_key_env=args.api_key_env, delay=args.delay
    )


def with_options(spec: str, **options: object) -> str:
    """The spec with these options, except those that are None or already set in it."""
    existing = Spec.parse(spec).options
    new = {
        key: value for key, value in options.items() if value is not None and key not in existing
    }
    query = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in new.items())
    return spec + ("&" if "?" in spec else "?") + query if query else spec


def prompts_of(dataset: str | None, custom_prompts: str | None) -> str:
    """The source of the prompts; `custom` without a file is the starter set."""
    if custom_prompts is None:
        return "starter" if dataset == "custom" else dataset or "ultrachat"
    if dataset not in (None, "custom"):
        raise ConfigError(f"--dataset {dataset} or --custom-prompts {custom_prompts}, not both")
    return custom_prompts


def folder_of(*models: str) -> str:
    """The folder name of a comparison: valid on every file system, unique for the models."""
    digest = hashlib.sha256("\n".join(models).encode()).hexdigest()[:8]
    others = f"{len(models) - 1}-others" if len(models) > 2 else short_name(models[1])
    return f"{short_name(models[0])}-vs-{others}-{digest}"


def short_name(model: str) -> str:
    """The name of a model, or the last two parts of its path, with at most 72 ASCII characters."""
    last = "-".join(Spec.parse(model).name.split("/")[-2:])
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-._")[:72] or "model"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; return the exit code of `bakeoff run`."""
    args = parser().parse_args(arguments)
    if args.dataset == "custom" and args.custom_prompts is None:
        print("no --custom-prompts: taking the starter set", file=sys.stderr)
    return compare(config_of(args))


if __name__ == "__main__":
    sys.exit(run_with_exit_code(main))

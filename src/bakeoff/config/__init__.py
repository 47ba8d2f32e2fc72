"""Configuration: `Config`, specs of models and judges, YAML files, and options of commands."""

from bakeoff.config.config import EMBEDDED_DEFAULT, Config
from bakeoff.config.shared_options import MAX_CONCURRENCY, STORE
from bakeoff.config.spec import Sampling, Spec, origins
from bakeoff.config.yaml import first_problem, load_config, parse_fields, split_options

__all__ = [
    "EMBEDDED_DEFAULT",
    "MAX_CONCURRENCY",
    "STORE",
    "Config",
    "Sampling",
    "Spec",
    "first_problem",
    "load_config",
    "origins",
    "parse_fields",
    "split_options",
]

"""What was asked: one flat Config (flags, YAML keys and Python arguments are its fields), and Spec.

Knows how a run is described; does not open, load or check anything that the description names.
"""

from bakeoff.config.config import EMBEDDED_DEFAULT, FLIGHT, MOST, RPM, STORE, TPM, Config
from bakeoff.config.spec import Sampling, Spec, origins
from bakeoff.config.yaml import config_from, first_problem, parse_fields, split_options

__all__ = [
    "EMBEDDED_DEFAULT",
    "FLIGHT",
    "MOST",
    "RPM",
    "STORE",
    "TPM",
    "Config",
    "Sampling",
    "Spec",
    "config_from",
    "first_problem",
    "origins",
    "parse_fields",
    "split_options",
]

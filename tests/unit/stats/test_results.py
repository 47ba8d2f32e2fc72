import json
from dataclasses import FrozenInstanceError, asdict, fields, is_dataclass

import numpy as np
import pytest

from bakeoff.stats import agreement, bias, calibration, controls, intervals, sequential, tests
from bakeoff.stats import power as planning
from bakeoff.stats import ratings as bradley_terry
from bakeoff.stats import results as module
from tests.unit.stats.checks import sound

RESULTS = [kind for kind in vars(module).values() if isinstance(kind, type) and is_dataclass(kind)]


def examples() -> dict[str, object]:
    """A result of each type."""
    rng = np.random.default_rng(2)
    values = rng.choice([0.0, 0.5, 1.0], 60)
    prompts = np.repeat(np.arange(20), 3)
    places = np.tile([0, 1, 1], 20)
    outcomes = bradley_terry.PairwiseOutcomes(prompts % 3, (prompts + 1) % 3, values, prompts)
    return {
        "Estimate": intervals.win_rate(values),
        "SignificanceResult": tests.sign_test(5, 3),
        "OrderEffect": bias.order_effect(values, prompts, places == 0),
        "FeatureBias": bias.feature_bias(values, rng.normal(size=60)),
        "ControlledRate": controls.controlled_rate(
            values, [controls.Covariate("length", (rng.normal(size=60),))]
        ),
        "CovariateEffect": controls.controlled_rate(
            values, [controls.Covariate("length", (rng.normal(size=60),))]
        ).effects[0],
        "LeakEffect": bias.leak_effect(values, prompts > 3, prompts < 9),
        "Power": planning.power_analysis(values, 0.05),
        "VarianceComponents": planning.variance_components(
            values, prompts, 0 * prompts, places, prompts
        ),
        "EProcess": sequential.sign_e_process(values),
        "TestedRate": tests.tested_win_rate(values),
        "TestedDifference": tests.paired_difference(values[:30], values[30:]),
        "CalibratedRate": calibration.corrected_rate(values[:9], values[9:18], values[18:]),
        "BradleyTerryFit": bradley_terry.bradley_terry(
            outcomes, 3, ties=True, order=True, resamples=20
        ),
        "agreement": agreement.cohen_kappa(rng.integers(0, 2, (30, 2)).astype(float)),
    }


def test_every_result_type_is_frozen() -> None:
    assert len(RESULTS) >= 11
    for kind in RESULTS:
        empty = object.__new__(kind)
        with pytest.raises(FrozenInstanceError):
            setattr(empty, fields(kind)[0].name, 1)


def test_every_result_type_is_json_serializable() -> None:
    results = examples()
    assert {kind.__name__ for kind in RESULTS} <= results.keys()
    for name, result in results.items():
        assert sound(result), name
        text = json.dumps(asdict(result), allow_nan=False)  # type: ignore[call-overload]
        assert json.loads(text).keys() == asdict(result).keys()  # type: ignore[call-overload]

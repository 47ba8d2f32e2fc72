"""Rates corrected by labels of people. Knows labels and a judge's values, both from 0 to 1."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bakeoff.stats.power import z_sum
from bakeoff.stats.results import Calibrated, Estimate

Values = NDArray[np.float64]


def ppi_plus_plus(labels: Values, judged: Values, unlabelled: Values) -> Calibrated:
    """The mean label, using what the judge says of n labelled and N unlabelled prompts.

    theta = lam mean_N(f) + mean_n(Y - lam f), lam = cov_n(Y, f) / ((1 + n/N) var(f)) cut to [0, 1]
    (Angelopoulos et al. 2023, arXiv 2311.01453). Unbiased whatever the judge is worth, if the
    labelled prompts were drawn at random; no wider than labels alone as n grows. n >= 2, N >= 1.
    """
    n, more = len(labels), len(unlabelled)
    if n < 2 or more < 1:
        raise ValueError("PPI needs two labelled values and an unlabelled one")
    said = np.concatenate((judged, unlabelled))
    variance = float(said.var(ddof=1)) if np.ptp(said) > 1e-9 else 0.0
    covariance = float(((labels - labels.mean()) * (judged - judged.mean())).mean())
    weight = min(1.0, max(0.0, covariance / ((1 + n / more) * variance))) if variance else 0.0
    rest = labels - weight * judged
    estimate = weight * float(unlabelled.mean()) + float(rest.mean())
    se = math.sqrt(weight**2 * float(unlabelled.var()) / more + float(rest.var()) / n)
    half = float(stats.norm.ppf(0.975)) * se
    value = Estimate(estimate, estimate - half, estimate + half, "PPI++", n, se)
    return Calibrated(value, n, more, weight)


def labels_needed(labels: Values, judged: Values, total: int, away: float) -> int | None:
    """How many labelled prompts, of `total`, would tell a rate from one that is `away` from it.

    With 80 % power at the 5 % level: 2.80 SE(n) <= away, SE(n)^2 = var(Y)/n (1 - rho^2 (M - n)/M)
    for M prompts, rho the correlation of labels and judge so far (that is PPI++'s effective number
    of labels, n / (1 - rho^2 N/(n + N)), Angelopoulos et al. 2023). None where M labels do not.
    """
    spread = float(np.append(labels, (0.0, 1.0)).var(ddof=1))  # unanimous so far is not certain
    varied = np.ptp(labels) > 1e-9 and np.ptp(judged) > 1e-9
    rho = float(np.corrcoef(labels, judged)[0, 1]) if varied else 0.0
    n = np.arange(1, total + 1)
    errors = spread / n * (1 - rho**2 * (total - n) / total)
    enough = np.flatnonzero(z_sum() ** 2 * errors <= away**2)
    return int(n[enough[0]]) if len(enough) else None


def rogan_gladen(rate: float, sensitivity: float, specificity: float) -> float | None:
    """The share of true positives behind a judge's rate (Rogan and Gladen 1978); a diagnostic.

    (p + spec - 1) / (sens + spec - 1); None for a judge that is no better than chance. It may lie
    outside 0 and 1, and it is wrong where the judge errs differently on the pairs at hand.
    """
    power = sensitivity + specificity - 1
    return (rate + specificity - 1) / power if power > 1e-12 else None


def lee_interval(
    rate: float, n: int, negatives: tuple[float, int], positives: tuple[float, int]
) -> Calibrated | None:
    """Rogan-Gladen with an interval that knows all three sampling errors; a diagnostic.

    `rate` of n judged prompts; `negatives` are the specificity and the number of labelled negative
    prompts that it is from, `positives` the sensitivity likewise (Lee et al. 2025, arXiv
    2511.21140). None for a judge that is no better than chance.
    """
    z = float(stats.norm.ppf(0.975))
    p, wide = (n * rate + z**2 / 2) / (n + z**2), n + z**2
    (q0, m0), (q1, m1) = (((m * q + 1) / (m + 2), m + 2) for q, m in (negatives, positives))
    power = q0 + q1 - 1
    raw = rogan_gladen(rate, positives[0], negatives[0])
    if power <= 0 or raw is None:
        return None
    centre = (p + q0 - 1) / power
    v0, v1 = q0 * (1 - q0) / m0, q1 * (1 - q1) / m1
    shift = 2 * z**2 * (-(1 - centre) * v0 + centre * v1)
    se = math.sqrt(p * (1 - p) / wide + (1 - centre) ** 2 * v0 + centre**2 * v1) / power
    low, high = (min(1.0, max(0.0, centre + shift + side * z * se)) for side in (-1, 1))
    rate = min(1.0, max(0.0, raw))
    # With few labels the smoothed centre may be far from the raw rate.
    value = Estimate(rate, min(rate, low), max(rate, high), "Rogan-Gladen, Lee et al.", n, se)
    return Calibrated(value, negatives[1] + positives[1], n)

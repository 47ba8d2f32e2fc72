"""Rates corrected by human labels. Labels and a judge's values are from 0 to 1."""

import math

import numpy as np

from bakeoff.stats.arrays import Values
from bakeoff.stats.distributions import two_sided_quantile
from bakeoff.stats.intervals import score_interval, score_rate
from bakeoff.stats.power import z_sum
from bakeoff.stats.results import CalibratedRate, Estimate

MIN_LABELS = 30
MIN_RARER_LABELS = 15
MIN_EFFICIENT_LABELS = 100
_MAX_DISTINCT = 5  # values of a judge: wins, ties and losses, and means of two of them


def labels_decide(labels: Values) -> bool:
    """Whether these labels of randomly drawn prompts are enough to override the judge.

    30 labels, at least 15 of them in the rarer class (wins or losses).
    """
    wins, losses = int((labels > 0.5 + 1e-9).sum()), int((labels < 0.5 - 1e-9).sum())
    return len(labels) >= MIN_LABELS and min(wins, losses) >= MIN_RARER_LABELS


def corrected_rate(
    labels: Values, judged: Values, unlabeled: Values, level: float = 0.95
) -> CalibratedRate:
    """The mean label, from labels of n prompts and a judge's values on these and on N others.

    `judged` are the judge's values on the labeled prompts, in the order of `labels`. The estimate
    is that of PPI++ (see `ppi_plus_plus`) with lambda shrunk by (n-2)/(n+2), since with few labels
    it fits their noise. Its interval is the score interval of the win rate, for n units with the
    variance n SE^2 (ddof 1), with Student's t and n-1 degrees of freedom: one more win and one more
    loss of the labels, which the judge did not predict, are added to the residuals. It covers at
    least 92 % from 10 labels on (`benchmarks/interval_coverage.py`).

    From 100 labels on, a judge of 3 to 5 distinct values (ties, or the mean of two orders) is
    replaced by the mean label of the prompts with the same value: the estimator from the efficient
    influence function (Chen et al. 2026, arXiv 2601.05420). For a judge of two values it is that
    of PPI++; with fewer labels it is no narrower. The mean for a labeled prompt leaves out its own
    label.

    Raises ValueError for n < 2 or N < 1.
    """
    published = ppi_plus_plus(labels, judged, unlabeled)
    n, method = len(labels), "PPI++, adjusted for few labels"
    distinct = len(np.unique(np.round(np.concatenate((judged, unlabeled)), 9)))
    if n >= MIN_EFFICIENT_LABELS and 3 <= distinct <= _MAX_DISTINCT:
        judged, unlabeled = _mean_labels(labels, judged, unlabeled)
        method = "efficient influence function"
    weight = _judge_weight(labels, judged, unlabeled) * (n - 2) / (n + 2)
    residuals = labels - weight * judged
    estimate = weight * float(unlabeled.mean()) + float(residuals.mean())
    estimate = min(1.0, max(0.0, estimate))
    variance = weight**2 * float(unlabeled.var()) / len(unlabeled)
    variance += float(residuals.var(ddof=1)) / n
    low, high = score_interval(estimate, n * variance, n, n - 1, level)
    return CalibratedRate(
        Estimate(estimate, low, high, method, n, math.sqrt(variance)),
        n,
        len(unlabeled),
        weight,
        published=published.value,
        labels_only=score_rate(labels, None, level),
    )


def _mean_labels(labels: Values, judged: Values, unlabeled: Values) -> tuple[Values, Values]:
    """The mean label of the prompts with the same value of the judge, labeled and unlabeled.

    Two labels with the mean of all are added to each value of the judge.
    """
    distinct, codes = np.unique(
        np.round(np.concatenate((judged, unlabeled)), 9), return_inverse=True
    )
    of_labeled, of_unlabeled = codes[: len(labels)], codes[len(labels) :]
    sums = np.bincount(of_labeled, labels, len(distinct))
    counts = np.bincount(of_labeled, minlength=len(distinct))
    total, n = float(labels.sum()), len(labels)
    others = (total - labels) / (n - 1)
    left_out = (sums[of_labeled] - labels + 2 * others) / (counts[of_labeled] + 1)
    return left_out, ((sums + 2 * total / n) / (counts + 2))[of_unlabeled]


def ppi_plus_plus(labels: Values, judged: Values, unlabeled: Values) -> CalibratedRate:
    """The mean label by PPI++ as published; `corrected_rate` is the form for few labels.

    theta = lam mean_N(f) + mean_n(Y - lam f), lam = cov_n(Y, f) / ((1 + n/N) var(f)) cut to [0, 1]
    (Angelopoulos et al. 2023, arXiv 2311.01453). Unbiased for any judge if the labeled prompts
    were drawn at random; asymptotically no wider than the interval of the labels alone. With 10 to
    50 labels, the intervals of 95 % cover 71 to 94 %. Parameters are those of `corrected_rate`.

    Raises ValueError for n < 2 or N < 1.
    """
    n, n_unlabeled = len(labels), len(unlabeled)
    if n < 2 or n_unlabeled < 1:
        raise ValueError("PPI needs two labeled values and an unlabeled one")
    weight = _judge_weight(labels, judged, unlabeled)
    residuals = labels - weight * judged
    estimate = weight * float(unlabeled.mean()) + float(residuals.mean())
    se = math.sqrt(weight**2 * float(unlabeled.var()) / n_unlabeled + float(residuals.var()) / n)
    half = two_sided_quantile() * se
    value = Estimate(estimate, estimate - half, estimate + half, "PPI++", n, se)
    return CalibratedRate(value, n, n_unlabeled, weight)


def _judge_weight(labels: Values, judged: Values, unlabeled: Values) -> float:
    """PPI++'s lambda, from 0 to 1; 0 for a judge without variation."""
    all_judged = np.concatenate((judged, unlabeled))
    variance = float(all_judged.var(ddof=1)) if np.ptp(all_judged) > 1e-9 else 0.0
    covariance = float(((labels - labels.mean()) * (judged - judged.mean())).mean())
    scale = (1 + len(labels) / len(unlabeled)) * variance
    return min(1.0, max(0.0, covariance / scale)) if variance else 0.0


def labels_needed(labels: Values, judged: Values, total: int, difference: float) -> int | None:
    """How many labeled prompts, of M = `total`, detect this difference of a rate.

    With 80 % power at the 5 % level: 2.80 SE(n) <= difference, SE(n)^2 = var(Y)/n (1 - rho^2
    (M - n)/M), rho being the correlation of labels and judge so far (from PPI++'s effective number
    of labels, n / (1 - rho^2 N/(n + N)), Angelopoulos et al. 2023). None where M labels are too
    few.
    """
    # One label of 0 and one of 1 are added, since unanimous labels have variance 0.
    variance = float(np.append(labels, (0.0, 1.0)).var(ddof=1))
    varies = np.ptp(labels) > 1e-9 and np.ptp(judged) > 1e-9
    rho = float(np.corrcoef(labels, judged)[0, 1]) if varies else 0.0
    n = np.arange(1, total + 1)
    squared_errors = variance / n * (1 - rho**2 * (total - n) / total)
    enough = np.flatnonzero(z_sum() ** 2 * squared_errors <= difference**2)
    return int(n[enough[0]]) if len(enough) else None


def rogan_gladen(rate: float, sensitivity: float, specificity: float) -> float | None:
    """The prevalence behind a judge's rate (Rogan and Gladen 1978); a diagnostic.

    (p + spec - 1) / (sens + spec - 1); None for a judge that is no better than chance. The result
    may lie outside [0, 1], and is biased where the judge's error rates differ on the pairs at hand.
    """
    informedness = sensitivity + specificity - 1
    return (rate + specificity - 1) / informedness if informedness > 1e-12 else None


def lee_interval(
    rate: float, n: int, negatives: tuple[float, int], positives: tuple[float, int]
) -> CalibratedRate | None:
    """The Rogan-Gladen rate with an interval that includes all three sampling errors.

    `rate` is of n judged prompts; `negatives` are the specificity and the number of labeled
    negative prompts behind it, `positives` the sensitivity likewise (Lee et al. 2025, arXiv
    2511.21140). None for a judge that is no better than chance. A diagnostic.
    """
    z = two_sided_quantile()
    p, n_smoothed = (n * rate + z**2 / 2) / (n + z**2), n + z**2
    (q0, m0), (q1, m1) = (((m * q + 1) / (m + 2), m + 2) for q, m in (negatives, positives))
    informedness = q0 + q1 - 1
    raw = rogan_gladen(rate, positives[0], negatives[0])
    if informedness <= 0 or raw is None:
        return None
    centre = (p + q0 - 1) / informedness
    v0, v1 = q0 * (1 - q0) / m0, q1 * (1 - q1) / m1
    shift = 2 * z**2 * (-(1 - centre) * v0 + centre * v1)
    variance = p * (1 - p) / n_smoothed + (1 - centre) ** 2 * v0 + centre**2 * v1
    se = math.sqrt(variance) / informedness
    low, high = (min(1.0, max(0.0, centre + shift + side * z * se)) for side in (-1, 1))
    rate = min(1.0, max(0.0, raw))
    # With few labels the smoothed centre may be far from the raw rate.
    value = Estimate(rate, min(rate, low), max(rate, high), "Rogan-Gladen, Lee et al.", n, se)
    return CalibratedRate(value, negatives[1] + positives[1], n)

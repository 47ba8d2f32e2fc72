"""A reward model in this process: what a model with one number as its head gives a completion.

Knows what such a model is read from and what it must not be; it is fetched, loaded and batched as
`hf.py` does for all models of transformers.
"""

import json
import logging

from bakeoff.config import Spec
from bakeoff.errors import ConfigError, WorkError
from bakeoff.generators.transformers import checkpoint_loader, logprobs, tokenization
from bakeoff.generators.transformers.checkpoint_loader import Loaded
from bakeoff.generators.transformers.generator import Hf
from bakeoff.generators.transformers.tokenization import Row
from bakeoff.plugins import RunContext
from bakeoff.records import Completion, Prompt

log = logging.getLogger(__name__)

_CLASS = "AutoModelForSequenceClassification"


class Reward(Hf):
    """`reward:me/model` or `reward:./checkpoint`: any sequence-classification reward model.

    A conversation goes through the chat template as a whole. Without one it is read as a pair of
    texts, what was asked and what was said, where the tokenizer knows how to part them, as those of
    encoders do; else as the one after the other.
    """

    class Options(Hf.Options):
        """Options of the spec, as `hf:` has them, but for what only language models have."""

        adapter: None = None
        gguf_file: None = None

    options: Options

    def __init__(self, spec: Spec, context: RunContext) -> None:
        if not context.sampling.weigh:
            raise ConfigError(
                f"{spec.name!r} is a reward model and completes nothing: give it as the --judge"
            )
        super().__init__(spec, context)

    def _row(self, loaded: Loaded, item: Prompt) -> Row:
        return tokenization.closed_row_of(loaded.tokens, item, self.sampling)

    def _together(self, loaded: Loaded, rows: list[Row]) -> list[Completion | WorkError]:
        if loaded.model.config.get_text_config().pad_token_id is not None:
            return logprobs.reward(loaded, rows)
        # The models take the last token that is no padding, and here nothing says what that is.
        return [outcome for row in rows for outcome in logprobs.reward(loaded, [row])]

    def _open(self) -> Loaded:
        if self.options.trust_remote_code:
            log.warning(
                "%s: trust_remote_code=true runs the Python code of its repository on this "
                "machine, with all your rights",
                self.spec.name,
            )
        loaded = checkpoint_loader.load_classifier(self._files, self.spec.name)
        config, tokenizer = loaded.model.config.get_text_config(), loaded.tokens.tokenizer
        # An end of text that pads too would be taken for padding where it ends a text.
        if config.pad_token_id is None and tokenizer.pad_token_id != tokenizer.eos_token_id:
            config.pad_token_id = tokenizer.pad_token_id
        if not loaded.tokens.chat:
            log.warning("%s has no chat template: it reads plain texts", self.spec.name)
        return loaded

    def _check(self) -> None:
        if adapter := self._parts.adapter:
            raise ConfigError(
                f"{str(adapter)!r} is an adapter: merge it into its model (merge_and_unload) and "
                "save that as a whole"
            )
        super()._check()
        if self.options.trust_remote_code:
            return
        config = json.loads((self._files.model / "config.json").read_text(encoding="utf-8"))
        code = config.get("auto_map", {}).get(_CLASS)
        if code:
            raise ConfigError(
                f"{self.spec.name!r} brings Python code of its own ({code}), which would run on "
                "this machine with all your rights: read it, then write ?trust_remote_code=true if "
                "you trust it"
            )

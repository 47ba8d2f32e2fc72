"""The `reward:` backend: a transformers classifier with one output, as a judge of completions."""

import json
import logging

from bakeoff.config import Spec
from bakeoff.errors import ConfigError, WorkError
from bakeoff.generators.transformers import checkpoint_loader, scoring, tokenization
from bakeoff.generators.transformers.checkpoint_loader import LoadedModel
from bakeoff.generators.transformers.generator import TransformersGenerator
from bakeoff.generators.transformers.tokenization import EncodedPrompt
from bakeoff.plugins import RunContext
from bakeoff.records import Completion, Prompt

log = logging.getLogger(__name__)

_AUTO_CLASS = "AutoModelForSequenceClassification"


class RewardModel(TransformersGenerator):
    """`reward:me/model` or `reward:./checkpoint`: any sequence-classification reward model.

    The chat template renders the whole conversation. Without one, a tokenizer with a separator
    token, like those of encoders, encodes prompt and completion as a pair of texts, and any other
    as one text.
    """

    class Options(TransformersGenerator.Options):
        """Options of the spec: those of `hf:` that apply to a classifier."""

        adapter: None = None
        gguf_file: None = None
        quantization: None = None

    options: Options

    def __init__(self, spec: Spec, context: RunContext) -> None:
        if not context.sampling.score_only:
            raise ConfigError(
                f"{spec.name!r} is a reward model and completes nothing: give it as the --judge"
            )
        super().__init__(spec, context)

    def _encode(self, loaded: LoadedModel, item: Prompt) -> EncodedPrompt:
        return tokenization.encode_conversation(loaded.tokenizer, item, self.sampling)

    def _score(
        self, loaded: LoadedModel, rows: list[EncodedPrompt]
    ) -> list[Completion | WorkError]:
        if loaded.model.config.get_text_config().pad_token_id is not None:
            return scoring.rewards(loaded, rows)
        # The reward is at the last token before the padding. Without a padding token the model
        # cannot find it, so that each row needs a batch without padding.
        return [outcome for row in rows for outcome in scoring.rewards(loaded, [row])]

    def _load_files(self) -> LoadedModel:
        if self.options.trust_remote_code:
            log.warning(
                "%s: trust_remote_code=true runs the Python code of its repository on this "
                "machine, with all your rights",
                self.spec.name,
            )
        loaded = checkpoint_loader.load_classifier(self._files, self.spec.name)
        config, tokenizer = loaded.model.config.get_text_config(), loaded.tokenizer.tokenizer
        # If it is the end token, too, the model would take the end of a text for padding.
        if config.pad_token_id is None and tokenizer.pad_token_id != tokenizer.eos_token_id:
            config.pad_token_id = tokenizer.pad_token_id
        if not loaded.tokenizer.has_chat_template:
            log.warning("%s has no chat template: it reads plain texts", self.spec.name)
        return loaded

    def _check(self) -> None:
        if adapter := self._source.adapter:
            raise ConfigError(
                f"{str(adapter)!r} is an adapter: merge it into its model (merge_and_unload) and "
                "save that as a whole"
            )
        super()._check()
        if self.options.trust_remote_code:
            return
        config = json.loads((self._files.model / "config.json").read_text(encoding="utf-8"))
        code = config.get("auto_map", {}).get(_AUTO_CLASS)
        if code:
            raise ConfigError(
                f"{self.spec.name!r} brings Python code of its own ({code}), which would run on "
                "this machine with all your rights: read it, then write ?trust_remote_code=true if "
                "you trust it"
            )

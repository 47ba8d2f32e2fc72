"""Reads a dataset, a folder or a name on the hub, to rows, with the `datasets` library.

Knows which part of it is wanted, and what to do without a network; knows no prompt.
"""

import re
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bakeoff.errors import ConfigError
from bakeoff.prompts.rows.files import Row, listed
from bakeoff.records import content_key

# A host may have several addresses, and a dead network lets each of them wait for this long.
_CONNECT_S = 3.0
_REQUEST_S = 10.0

_COMMIT = re.compile("[0-9a-f]{40}")


class Dataset(NamedTuple):
    """The rows of a dataset, and the commit of the hub's repo that they are from, if they are."""

    rows: Iterator[Row]
    revision: str | None = None


class Part(NamedTuple):
    """What of a dataset is wanted: a branch, tag or commit on the hub, a config, a split."""

    revision: str | None = None
    config: str | None = None
    split: str | None = None


def read_dataset(
    target: str, part: Part, *, pick: Callable[[Sequence[str]], Sequence[str]]
) -> Dataset:
    """The rows of a dataset: a folder, or a name on the hub; only the columns that `pick` picks.

    Without a split it is `test`, or else the only one. Only the files of that split are fetched,
    and what was fetched once is found again without a network. ConfigError.
    """
    try:
        import datasets
        import httpx  # what `datasets` talks to the hub with
    except ImportError:
        raise ConfigError(
            f"the dataset {target!r} needs the datasets library: pip install 'bakeoff[data]'"
        ) from None
    expected = (
        datasets.exceptions.DatasetsError,
        httpx.HTTPError,
        OSError,
        ValueError,
        RuntimeError,
    )
    try:
        with _without_bars():
            data = _dataset(target, part)
    except expected as error:
        text = " ".join(str(error.__cause__ or error).split())[:1000]
        hint = ": choose one with ?config=NAME" if "Config" in text else ""
        raise ConfigError(f"cannot load the dataset {target!r}: {text}{hint}") from None
    picked = data.select_columns(list(pick(data.column_names)))
    rows = (Row(f"row {number}", values) for number, values in enumerate(picked, 1))
    return Dataset(rows, _revision(data))


def _revision(data: Any) -> str | None:
    """The commit that a dataset of the hub is of: the library keeps it in a folder of that name."""
    folders = {Path(file["filename"]).parent.name for file in data.cache_files}
    return next((name for name in folders if _COMMIT.fullmatch(name)), None)


def _dataset(target: str, part: Part) -> Any:
    import datasets

    folder, split = Path(target), part.split
    if part.revision and folder.is_dir():
        raise ConfigError(f"{target!r} is a folder, which has no revisions: leave out ?revision=")
    if any((folder / name).is_file() for name in ("state.json", "dataset_dict.json")):
        saved = datasets.load_from_disk(target)  # what save_to_disk left
        if isinstance(saved, datasets.Dataset):
            saved = {str(saved.split or "train"): saved}
        return saved[_chosen(saved, split, target)]
    if folder.is_dir():
        return _prepared(target, part)
    if folder.is_absolute() or target.startswith("."):
        raise ConfigError(f"there is no folder {target!r}")
    if reason := _unreachable():
        return _kept(target, part, reason)
    return _prepared(target, part)


def _prepared(target: str, part: Part) -> Any:
    # `load_dataset` would fetch every split: of UltraChat 1.6 GB, of which one test split is 80 MB.
    # The narrowed builder has a cache of its own: in the common one it would pass for the whole.
    import datasets

    which = {"name": part.config, "revision": part.revision}
    builder = datasets.load_dataset_builder(target, **which)
    split = _chosen(builder.config.data_files or {}, part.split, target)
    files = builder.config.data_files[split]
    cache = _cache(split)
    if Path(target).is_dir():  # the library knows a folder by its name only, not by its files
        cache += "-" + content_key(list(files), list(map(list, files.origin_metadata)))[3:19]
    builder = datasets.load_dataset_builder(target, **which, cache_dir=cache)
    builder.config.data_files = datasets.data_files.DataFilesDict({split: files})
    builder.download_and_prepare(verification_mode="no_checks")  # it would miss the other splits
    return builder.as_dataset(split=split)


def _kept(target: str, part: Part, reason: str) -> Any:
    import datasets

    split = part.split or "test"
    which = {"name": part.config, "revision": part.revision, "split": split}
    online, datasets.config.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE, True
    try:
        for cache in (_cache(split), None):  # ours, and what someone else loaded whole
            try:
                data = datasets.load_dataset(target, **which, cache_dir=cache)
            except (OSError, ValueError):
                continue
            if not _COMMIT.fullmatch(part.revision or "") or _revision(data) == part.revision:
                return data  # offline the library takes the latest, whichever was asked for
    finally:
        datasets.config.HF_HUB_OFFLINE = online
    raise ConfigError(
        f"cannot reach the hub for the dataset {target!r} ({reason}): "
        "go on with --prompts starter, or with --prompts FILE"
    )


def _unreachable() -> str | None:
    # The library asks a dead network again for minutes, so we ask once before it does.
    import datasets
    import httpx
    from huggingface_hub import get_session

    if datasets.config.HF_HUB_OFFLINE:
        return "offline mode is on"
    timeout = httpx.Timeout(_REQUEST_S, connect=_CONNECT_S)
    try:
        get_session().head(datasets.config.HF_ENDPOINT, timeout=timeout)
    except (httpx.TransportError, OSError) as error:
        return str(error) or type(error).__name__
    return None


def _cache(split: str) -> str:
    import datasets

    return str(Path(datasets.config.HF_DATASETS_CACHE) / "bakeoff" / split)


def _chosen(splits: Collection[str], split: str | None, target: str) -> str:
    wanted = split or ("test" if "test" in splits or len(splits) != 1 else next(iter(splits)))
    if wanted not in splits:
        raise ConfigError(
            f"the dataset {target!r} has no split {wanted!r}; there are: {listed(splits)}: "
            "choose one with ?split=NAME"
        )
    return wanted


@contextmanager
def _without_bars() -> Iterator[None]:
    import datasets
    from huggingface_hub import utils

    libraries = [lib for lib in (datasets.utils, utils) if not lib.are_progress_bars_disabled()]
    with warnings.catch_warnings():  # who asked for them in the environment has them, warned or not
        warnings.simplefilter("ignore")
        for library in libraries:
            library.disable_progress_bars()
    try:
        yield
    finally:
        for library in libraries:
            library.enable_progress_bars()

"""Reads rows of a dataset in a folder or on the hub, with the `datasets` library."""

import re
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bakeoff.errors import ConfigError
from bakeoff.prompts.rows.files import Row, format_names
from bakeoff.records import content_key

_CONNECT_TIMEOUT = 3.0  # seconds for each address of the host
_REQUEST_TIMEOUT = 10.0  # seconds

_COMMIT = re.compile("[0-9a-f]{40}")


class DatasetRows(NamedTuple):
    """The rows of a dataset."""

    rows: Iterator[Row]
    revision: str | None = None
    """Commit of the hub repository; None for a folder."""


class DatasetPart(NamedTuple):
    """The part of a dataset to read."""

    revision: str | None = None
    """Branch, tag or commit on the hub."""
    config: str | None = None
    split: str | None = None


def read_dataset(
    target: str, part: DatasetPart, *, select: Callable[[Sequence[str]], Sequence[str]]
) -> DatasetRows:
    """Return the rows of a dataset.

    `target` is a folder or a name on the hub. `select` is called with the column names and returns
    those to read. The default split is `test`, or the only one. Only files of that split are
    downloaded; they are cached, so that they can be read offline later. Raises ConfigError if the
    dataset is missing or cannot be read, or without the `datasets` library.
    """
    try:
        import datasets
        import httpx  # used by `datasets`
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
        with _no_progress_bars():
            data = _load(target, part)
    except expected as error:
        text = " ".join(str(error.__cause__ or error).split())[:1000]
        hint = ": choose one with ?config=NAME" if "Config" in text else ""
        raise ConfigError(f"cannot load the dataset {target!r}: {text}{hint}") from None
    selected = data.select_columns(list(select(data.column_names)))
    rows = (Row(f"row {number}", values) for number, values in enumerate(selected, 1))
    return DatasetRows(rows, _revision(data))


def _revision(data: Any) -> str | None:
    """Return the commit of a hub dataset, after which the library names its cache folder."""
    folders = {Path(file["filename"]).parent.name for file in data.cache_files}
    return next((name for name in folders if _COMMIT.fullmatch(name)), None)


def _load(target: str, part: DatasetPart) -> Any:
    import datasets

    folder, split = Path(target), part.split
    if part.revision and folder.is_dir():
        raise ConfigError(f"{target!r} is a folder, which has no revisions: leave out ?revision=")
    if any((folder / name).is_file() for name in ("state.json", "dataset_dict.json")):
        saved = datasets.load_from_disk(target)  # written by save_to_disk
        if isinstance(saved, datasets.Dataset):
            saved = {str(saved.split or "train"): saved}
        return saved[_choose_split(saved, split, target)]
    if folder.is_dir():
        return _download(target, part)
    if folder.is_absolute() or target.startswith("."):
        raise ConfigError(f"there is no folder {target!r}")
    if reason := _unreachable():
        return _load_cached(target, part, reason)
    return _download(target, part)


def _download(target: str, part: DatasetPart) -> Any:
    # `load_dataset` would download every split: 1.6 GB of UltraChat, whose test split has 80 MB.
    # The restricted builder needs its own cache: in the shared one it would count as complete.
    import datasets

    options = {"name": part.config, "revision": part.revision}
    builder = datasets.load_dataset_builder(target, **options)
    split = _choose_split(builder.config.data_files or {}, part.split, target)
    files = builder.config.data_files[split]
    cache = _cache(split)
    if Path(target).is_dir():  # the library identifies a folder by name, not by its files
        cache += "-" + content_key(list(files), list(map(list, files.origin_metadata)))[3:19]
    builder = datasets.load_dataset_builder(target, **options, cache_dir=cache)
    builder.config.data_files = datasets.data_files.DataFilesDict({split: files})
    builder.download_and_prepare(verification_mode="no_checks")  # the other splits are missing
    return builder.as_dataset(split=split)


def _load_cached(target: str, part: DatasetPart, reason: str) -> Any:
    import datasets

    split = part.split or "test"
    options = {"name": part.config, "revision": part.revision, "split": split}
    online, datasets.config.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE, True
    try:
        # None is the shared cache, where other programs may have loaded the complete dataset.
        for cache in (_cache(split), None):
            try:
                data = datasets.load_dataset(target, **options, cache_dir=cache)
            except (OSError, ValueError):
                continue
            if not _COMMIT.fullmatch(part.revision or "") or _revision(data) == part.revision:
                return data  # offline, the library may load another revision than requested
    finally:
        datasets.config.HF_HUB_OFFLINE = online
    raise ConfigError(
        f"cannot reach the hub for the dataset {target!r} ({reason}): "
        "go on with --prompts starter, or with --prompts FILE"
    )


def _unreachable() -> str | None:
    # Without a network, the library retries for minutes: one request is tried first.
    import datasets
    import httpx
    from huggingface_hub import get_session

    if datasets.config.HF_HUB_OFFLINE:
        return "offline mode is on"
    timeout = httpx.Timeout(_REQUEST_TIMEOUT, connect=_CONNECT_TIMEOUT)
    try:
        get_session().head(datasets.config.HF_ENDPOINT, timeout=timeout)
    except (httpx.TransportError, OSError) as error:
        return str(error) or type(error).__name__
    return None


def _cache(split: str) -> str:
    import datasets

    return str(Path(datasets.config.HF_DATASETS_CACHE) / "bakeoff" / split)


def _choose_split(splits: Collection[str], split: str | None, target: str) -> str:
    name = split or ("test" if "test" in splits or len(splits) != 1 else next(iter(splits)))
    if name not in splits:
        raise ConfigError(
            f"the dataset {target!r} has no split {name!r}; there are: {format_names(splits)}: "
            "choose one with ?split=NAME"
        )
    return name


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    import datasets
    from huggingface_hub import utils

    libraries = [lib for lib in (datasets.utils, utils) if not lib.are_progress_bars_disabled()]
    with warnings.catch_warnings():  # warns if environment variables force progress bars
        warnings.simplefilter("ignore")
        for library in libraries:
            library.disable_progress_bars()
    try:
        yield
    finally:
        for library in libraries:
            library.enable_progress_bars()

"""A model's files in a hub repository, at one commit.

The hub is queried once per repository, with a short timeout; if it does not answer, the local cache
is used.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import JsonValue

from bakeoff.errors import ConfigError
from bakeoff.generators.hub.directory import Directory

if TYPE_CHECKING:
    from huggingface_hub import ResolvedRevision

log = logging.getLogger(__name__)

_TIMEOUT = 5.0  # seconds to connect to the hub, and again for its reply
_CONFIGS = ("config.json", "adapter_config.json")  # a cached repository has at least one of them


class _RepoState(NamedTuple):
    commit: "ResolvedRevision"
    files: frozenset[str]
    online: bool  # False: from the cache, as the hub did not answer


class HubRepo:
    """A model's files in a hub repository, at the commit that its revision has on first use.

    Every member raises ConfigError if the repository cannot be reached or does not exist.
    """

    def __init__(self, repo: str, revision: str | None) -> None:
        self.repo = repo
        self.revision = revision

    def __str__(self) -> str:
        return self.repo

    @property
    def names(self) -> frozenset[str]:
        """Names of the repository's files; of those in the cache if the hub does not answer."""
        return self._state.files

    def identity(self, gguf_file: str | None = None) -> JsonValue:
        """Return the repository and its commit, as JSON."""
        del gguf_file
        return {"repo": self.repo, "commit": self._state.commit.resolved}

    def fetch(self, names: Iterable[str]) -> Path:
        """Return the folder in the local cache with these files; download missing ones."""
        commit, _, online = self._state
        log.info("fetching %s at %s", self.repo, commit.resolved)
        return self._snapshot(commit, names, offline=not online)

    @cached_property
    def _state(self) -> _RepoState:
        try:
            from huggingface_hub import HfApi
        except ImportError:
            raise ConfigError(f"{self.repo!r} needs: pip install 'huggingface-hub>=1'") from None

        api = HfApi()
        with _as_config_error(self.repo, self.revision):
            # Only model_info has a timeout; resolve_revision caches the commit for offline runs.
            try:
                info = api.model_info(self.repo, revision=self.revision, timeout=_TIMEOUT)
            except Exception as error:
                if not _unreachable(error):
                    raise
                commit = api.resolve_revision(
                    self.repo, revision=self.revision, local_files_only=True
                )
                folder = self._snapshot(commit, _CONFIGS, offline=True)
                return _RepoState(commit, Directory(folder).names, online=False)
            commit = api.resolve_revision(self.repo, revision=self.revision)
        files = frozenset(file.rfilename for file in info.siblings or ())
        return _RepoState(commit, files, online=True)

    def _snapshot(self, commit: "ResolvedRevision", names: Iterable[str], *, offline: bool) -> Path:
        from huggingface_hub import snapshot_download
        from tqdm import tqdm  # type: ignore[import-untyped]

        class Silent(tqdm):  # type: ignore[misc]
            def __init__(self, *args: object, **kwargs: object) -> None:
                super().__init__(*args, **{**kwargs, "disable": True})

        with _as_config_error(self.repo, self.revision):
            folder = snapshot_download(
                self.repo,
                revision=commit,
                allow_patterns=list(names),
                local_files_only=offline,
                tqdm_class=Silent,
            )
        return Path(folder)


def _unreachable(error: Exception) -> bool:
    """Return whether the hub did not answer; invalid JSON is the page of a proxy."""
    from httpx import TransportError
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    return isinstance(error, TransportError | OfflineModeIsEnabled | json.JSONDecodeError)


@contextmanager
def _as_config_error(repo: str, revision: str | None) -> Iterator[None]:
    from huggingface_hub import errors as hub

    try:
        yield
    except hub.GatedRepoError:
        raise ConfigError(
            f"{repo!r} is gated: ask for access on its page on the hub, then run `hf auth login`"
        ) from None
    except hub.RepositoryNotFoundError:
        raise ConfigError(
            f"there is no directory {repo!r}, and no such model on the hub: check the name, or run "
            "`hf auth login` if it is private"
        ) from None
    except hub.RevisionNotFoundError:
        raise ConfigError(f"{repo!r} has no revision {revision!r} on the hub") from None
    except hub.HFValidationError:
        raise ConfigError(f"{repo!r} is neither a directory nor a hub id like me/model") from None
    except (hub.RevisionResolutionError, hub.LocalEntryNotFoundError):
        raise ConfigError(
            f"cannot reach the hub for {repo!r} and it is not in the cache: download it first or "
            "give a local path"
        ) from None
    except Exception as error:
        if not isinstance(error, OSError) and not _unreachable(error):
            raise
        raise ConfigError(
            f"cannot fetch {repo!r} ({describe_error(error)}): what is there is kept, so try again"
        ) from None


def describe_error(error: Exception) -> str:
    """Return the class and the message of an error, on one line of at most 300 characters."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]

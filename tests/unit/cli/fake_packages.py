"""Fake installed packages that consist of their metadata only."""

from pathlib import Path

import pytest


class FakePackages:
    """A folder on `sys.path`: `packages.add("thing", requires=(...), entries={...})`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch

    def add(
        self,
        name: str,
        requires: tuple[str, ...] = (),
        entries: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        """Add a package, version 1.2, with requirements and entry points (names by group)."""
        home = self.folder / f"{name.replace('-', '_')}-1.2.dist-info"
        home.mkdir(parents=True)
        lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.2"]
        lines += [f"Requires-Dist: {line}" for line in requires]
        (home / "METADATA").write_text("\n".join(lines) + "\n")
        groups = [
            f"[{group}]\n" + "\n".join(f"{entry} = nowhere:Nothing" for entry in names)
            for group, names in (entries or {}).items()
        ]
        (home / "entry_points.txt").write_text("\n".join(groups) + "\n")
        self._monkeypatch.syspath_prepend(self.folder)

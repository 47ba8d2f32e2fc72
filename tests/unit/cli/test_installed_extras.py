"""Which extras are installed, and the commands that install them."""

from pathlib import Path

import pytest

from bakeoff.cli.installed_extras import INSTALLED, install_hint
from tests.unit.cli.fake_packages import FakePackages


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePackages:
    return FakePackages(tmp_path / "packages", monkeypatch)


def test_an_extra_is_installed_when_all_its_packages_are(packages: FakePackages) -> None:
    packages.add("thing", ('part; extra == "more"', 'other-part>=2 ; extra == "more"'))
    packages.add("part")
    assert install_hint("thing", "more") == "pip install 'thing[more]'"
    packages.add("other-part")
    assert install_hint("thing", "more") == INSTALLED


def test_only_packages_of_the_extra_are_checked(packages: FakePackages) -> None:
    packages.add("thing", ("gone", 'gone; extra == "others"', "gone; extra == 'mo'", "gone>1"))
    assert install_hint("thing", "more") == INSTALLED
    assert install_hint("thing", "others") == "pip install 'thing[others]'"


def test_extras_of_required_packages_are_checked(packages: FakePackages) -> None:
    packages.add("thing", ("part[deep,flat]>=1; python_version >= '3.11' and extra == 'more'",))
    packages.add("part", ("gone; extra == 'deep'",))
    assert install_hint("thing", "more") == "pip install 'thing[more]'"
    packages.add("gone")
    assert install_hint("thing", "more") == INSTALLED

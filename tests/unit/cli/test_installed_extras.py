from pathlib import Path

import pytest

from bakeoff.cli.installed_extras import INSTALLED, install_hint
from tests.unit.cli.packages import Shelf


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    return Shelf(tmp_path / "shelf", monkeypatch)


def test_an_extra_is_there_when_all_that_it_asks_for_is(shelf: Shelf) -> None:
    shelf.add("thing", ('part; extra == "more"', 'other-part>=2 ; extra == "more"'))
    shelf.add("part")
    assert install_hint("thing", "more") == "pip install 'thing[more]'"
    shelf.add("other-part")
    assert install_hint("thing", "more") == INSTALLED


def test_what_the_package_itself_or_another_extra_asks_for_does_not_count(shelf: Shelf) -> None:
    shelf.add("thing", ("gone", 'gone; extra == "others"', "gone; extra == 'mo'", "gone>1"))
    assert install_hint("thing", "more") == INSTALLED
    assert install_hint("thing", "others") == "pip install 'thing[others]'"


def test_the_extras_of_what_an_extra_asks_for_count_too(shelf: Shelf) -> None:
    shelf.add("thing", ("part[deep,flat]>=1; python_version >= '3.11' and extra == 'more'",))
    shelf.add("part", ("gone; extra == 'deep'",))
    assert install_hint("thing", "more") == "pip install 'thing[more]'"
    shelf.add("gone")
    assert install_hint("thing", "more") == INSTALLED

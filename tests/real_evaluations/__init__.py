"""Tests on real evaluations, which are not part of this repository.

They read ../shared/data and compare with the numbers of its `expected_give.json`. Without that
folder all are skipped; `tests/golden` tests the same functions on synthetic data.
"""

import pytest

from tests.conftest import ROOT

DATA = ROOT.parent / "shared" / "data"

if not DATA.is_dir():
    pytest.skip("the real evaluations are not in ../shared/data", allow_module_level=True)

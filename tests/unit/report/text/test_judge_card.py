"""The judge card: the table of a panel."""

from bakeoff.analysis.summarize import summarize
from bakeoff.report.text.judge_card import panel_table
from tests.unit.analysis.builders import evidence, won


def test_one_judge_has_no_panel() -> None:
    (pair,) = summarize(evidence(won(15, 10))).pairs
    assert panel_table(pair) == []


def test_each_judge_has_a_cell_in_every_row() -> None:
    judgments = [*won(15, 10, judge="j"), *won(10, 15, judge="k", cost=0.01)]
    (pair,) = summarize(evidence(judgments)).pairs
    rows = dict(panel_table(pair))
    assert [card.judge for card in pair.judges] == ["j", "k"]
    assert all(len(cells) == 2 and any(cells) for cells in rows.values())
    assert [cell.split("%")[0] for cell in rows["Win rate of model 1"]] == ["60.0", "40.0"]
    assert [cell.split("%")[0] for cell in rows["The panel without it"]] == ["40.0", "60.0"]
    assert rows["US dollars for 100 pairs"] == ["", "2.00"]
    assert rows["Unreadable"] == ["0 of 50", "0 of 50"]
    assert "Agrees with people" not in rows
    assert "Winner against its own scores" not in rows  # they gave none


def test_scores_can_be_contradicted() -> None:
    scored = {"scores": (3, 8)}
    (pair,) = summarize(
        evidence([*won(6, 0, judge="j", **scored), *won(6, 0, judge="k", **scored)])
    ).pairs
    assert dict(panel_table(pair))["Winner against its own scores"] == ["6 of 12", "6 of 12"]

import asyncio
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.web.viewer.runs import Run, find_runs
from bakeoff.web.viewer.voting_sessions import VotingSessions
from tests.unit.web.viewer.cases import going, lay, results


def run_in(folder: Path) -> Run:
    (run,) = find_runs(folder).runs.values()
    return run


def test_everybody_who_comes_at_once_votes_in_one_booth(tmp_path: Path) -> None:
    run = run_in(lay(tmp_path / "run", results(prompts=range(3))))

    async def main() -> None:
        booths = VotingSessions()
        apps = await asyncio.gather(*(booths.app_of(run) for _ in range(5)))
        assert len(set(map(id, apps))) == 1
        assert await booths.app_of(run) is apps[0]
        lay(run.folder, results(prompts=range(2)))
        assert await booths.app_of(run_in(run.folder)) is not apps[0]

    asyncio.run(main())


def test_before_there_are_results_nobody_votes(tmp_path: Path) -> None:
    run = run_in(going(tmp_path / "run"))

    async def main() -> None:
        with pytest.raises(ConfigError, match="nothing to vote on"):
            await VotingSessions().app_of(run)
        await VotingSessions().wait_counted(run)  # nothing was finished: nothing to wait for

    asyncio.run(main())

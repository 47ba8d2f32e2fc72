import asyncio
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.web.viewer.runs import Run, find_runs
from bakeoff.web.viewer.voting_sessions import VotingSessions
from tests.unit.web.viewer.builders import results, write_progress, write_results


def run_in(folder: Path) -> Run:
    (run,) = find_runs(folder).runs.values()
    return run


def test_concurrent_voters_share_one_session(tmp_path: Path) -> None:
    run = run_in(write_results(tmp_path / "run", results(prompts=range(3))))

    async def main() -> None:
        sessions = VotingSessions()
        apps = await asyncio.gather(*(sessions.app_of(run) for _ in range(5)))
        assert len(set(map(id, apps))) == 1
        assert await sessions.app_of(run) is apps[0]
        write_results(run.folder, results(prompts=range(2)))
        assert await sessions.app_of(run_in(run.folder)) is not apps[0]

    asyncio.run(main())


def test_run_without_results_has_no_session(tmp_path: Path) -> None:
    run = run_in(write_progress(tmp_path / "run"))

    async def main() -> None:
        with pytest.raises(ConfigError, match="nothing to vote on"):
            await VotingSessions().app_of(run)
        await VotingSessions().wait_counted(run)  # nothing was finished: nothing to wait for

    asyncio.run(main())

import asyncio
from pathlib import Path

import httpx
import pytest

from bakeoff.errors import ConfigError
from bakeoff.web.viewer import serve_async
from tests.unit.web.viewer.builders import results, write_results
from tests.web_clients import viewer


def test_missing_path_is_a_one_line_error(tmp_path: Path) -> None:
    def refuse(address: str) -> None:
        raise AssertionError(address)

    with pytest.raises(ConfigError, match=r"there is no '.*nowhere'") as caught:
        asyncio.run(serve_async(tmp_path / "nowhere", announce=refuse))
    assert "\n" not in str(caught.value)


def test_empty_folder_shows_a_later_run(tmp_path: Path) -> None:
    with viewer(tmp_path) as url:
        assert "There is no run here yet" in httpx.get(url, trust_env=False, timeout=300).text
        write_results(tmp_path / "first", results(prompts=range(3)))
        assert ">first<" in httpx.get(url, trust_env=False, timeout=300).text


def test_serving_ends_with_until(tmp_path: Path) -> None:
    addresses: list[str] = []

    async def main() -> None:
        until = asyncio.Event()

        def announce(address: str) -> None:
            addresses.append(address)
            until.set()

        await serve_async(tmp_path, announce=announce, until=until)

    asyncio.run(main())
    (address,) = addresses
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, trust_env=False, timeout=300)

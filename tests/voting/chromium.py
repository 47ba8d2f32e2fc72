"""A headless Chromium on a pipe: enough of its protocol to open a page, press keys and look."""

import itertools
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

BINARY = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--remote-debugging-pipe"
)


class Page:
    """One page; `shell` holds the descriptors 3 and 4, on which the browser listens and talks."""

    def __init__(self, profile: Path) -> None:
        if not BINARY:
            pytest.skip("no chromium is installed")
        listens, self._to = os.pipe()
        self._from, talks = os.pipe()
        shell = f"exec {BINARY} {FLAGS} --user-data-dir={profile} 3<&{listens} 4>&{talks}"
        self._process = subprocess.Popen(
            ["bash", "-c", shell],
            pass_fds=(listens, talks),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(listens)
        os.close(talks)
        self._numbers = itertools.count(1)
        self._unread = b""
        self._session: dict[str, Any] = {}
        self.complaints: list[Any] = []

    def __enter__(self) -> "Page":
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
        except (OSError, EOFError):
            self.__exit__(None, None, None)
            pytest.skip("chromium does not start here")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait(30)
        os.close(self._to)
        os.close(self._from)

    def call(self, method: str, **params: object) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params, **self._session}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (told := self._told()).get("id") != number:
            if told["method"] in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.complaints.append(told["params"])
        assert "error" not in told, told
        result: dict[str, Any] = told["result"]
        return result

    def js(self, code: str) -> Any:
        found = self.call(
            "Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, code: str) -> None:
        """Wait until an expression holds, on this page or on the next one."""
        deadline = time.monotonic() + 60
        guarded = f"(() => {{ try {{ return Boolean({code}) }} catch {{ return false }} }})()"
        while not self.js(guarded):
            assert time.monotonic() < deadline, f"it never came to be that {code}"
            time.sleep(0.02)

    def open(self, url: str, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def press(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def _told(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            more = os.read(self._from, 1 << 20)
            if not more:
                raise EOFError("chromium is gone")
            self._unread += more
        one, _, self._unread = self._unread.partition(b"\0")
        told: dict[str, Any] = json.loads(one)
        return told

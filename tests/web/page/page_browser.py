"""Debian's Chromium, driven over the WebDriver protocol, which is a few requests of HTTP and JSON."""

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from tests.kit.ports import free_port

CHROMIUM, DRIVER = "chromium", "chromedriver"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 15.0
"""Seconds: far more than anything here takes, on a machine that is busy with something else."""


def missing() -> str:
    """Which of the two programs is not here, if any."""
    return ", ".join(name for name in (CHROMIUM, DRIVER) if not shutil.which(name))


def _started() -> tuple[subprocess.Popen[bytes], int]:
    """The driver and its port. Left to choose one itself, it gives up where the first is taken."""
    for _ in range(20):
        port = free_port()
        driver = subprocess.Popen([DRIVER, f"--port={port}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert driver.stdout
        if any(b"started successfully" in line for line in iter(driver.stdout.readline, b"")):
            return driver, port
        driver.communicate()
    raise AssertionError(f"{DRIVER} does not start")


class Browser:
    """One window. ``profile`` is an empty folder."""

    def __init__(self, profile: Path) -> None:
        self._http = requests.Session()
        self._http.trust_env = False
        self._driver, port = _started()
        options = {"binary": shutil.which(CHROMIUM), "args": [*FLAGS, f"--user-data-dir={profile}"]}
        logs = {"browser": "ALL", "performance": "ALL"}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": logs}
        self._url = f"http://127.0.0.1:{port}"
        session = self._post("/session", {"capabilities": {"alwaysMatch": wanted}})
        self._url += f"/session/{session['sessionId']}"

    def close(self) -> None:
        self._http.delete(self._url, timeout=PATIENCE)
        self._driver.terminate()
        self._driver.communicate(timeout=PATIENCE)
        self._http.close()

    def go(self, url: str) -> None:
        self._post("/url", {"url": url})

    def run(self, script: str, *args: object) -> Any:
        """What ``script``, the body of a function, returns."""
        return self._post("/execute/sync", {"script": script, "args": args})

    def cdp(self, command: str, **params: object) -> Any:
        return self._post("/goog/cdp/execute", {"cmd": command, "params": params})

    def press(self, key: str) -> None:
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._post("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What came since the last time."""
        return list(self._post("/se/log", {"type": kind}))

    def requested(self) -> list[str]:
        """The addresses that it asked for since the last time."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def screen(self, width: int, height: int, *, dark: bool = False, less_motion: bool = False) -> None:
        """Of which size it is, in pixels of CSS, and what its reader prefers."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        prefers = {"prefers-color-scheme": "dark" if dark else "light"}
        if less_motion:
            prefers["prefers-reduced-motion"] = "reduce"
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": k, "value": v} for k, v in prefers.items()])

    def picture(self, path: Path, *, whole: bool = False) -> None:
        found = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def until(self, condition: Callable[[], object], what: str = "") -> Any:
        """The first true answer."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            # What it asks for may not be on the page yet.
            with suppress(AssertionError):
                if found := condition():
                    return found
            time.sleep(0.02)
        raise AssertionError(f"not within {PATIENCE} s: {what}\n{self.run('return document.body.innerText')}")

    def _post(self, path: str, body: object) -> Any:
        answer = self._http.post(self._url + path, json=body, timeout=PATIENCE).json()["value"]
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(answer["message"])
        return answer

"""A page in headless Chromium, driven through its DevTools protocol over a pair of pipes."""

from __future__ import annotations

import base64
import json
import os
import select
import shlex
import shutil
import subprocess
import time
from pathlib import Path

BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
SECONDS = 120
ENTER = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}


class Page:
    """One tab; everything that it logs and asks for is kept.

    Attributes:
        events: what Chromium has reported, in its own words.
    """

    def __init__(self, folder: Path) -> None:
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        options += ["--no-first-run", "--disable-background-networking", "--remote-debugging-pipe"]
        line = shlex.join([str(BINARY), *options, f"--user-data-dir={folder}"])
        # Chromium reads its third file and writes to its fourth.
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {line} 3<&{commands} 4>&{answers}"],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._unread = b""
        self._last = 0
        self._session = ""
        self.events: list[dict] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(SECONDS)
        os.close(self._commands)
        os.close(self._answers)

    def open(self, url: str, width: int, height: int = 900) -> None:
        """Load a page in a window of some width, in CSS pixels."""
        self.events.clear()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        self.send("Page.navigate", url=url)
        self._until(lambda: self.named("Page.loadEventFired"))

    def named(self, method: str) -> list[dict]:
        """The parameters of all events of a name."""
        return [event["params"] for event in self.events if event["method"] == method]

    def js(self, expression: str):
        """The value of a JavaScript expression."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: dict) -> None:
        self.send("Input.dispatchKeyEvent", type="keyDown", **key)
        self.send("Input.dispatchKeyEvent", type="keyUp", **key)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def send(self, method: str, **params):
        """Send a command and wait for its result."""
        self._last += 1
        number = self._last
        message = {"id": number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        answers: list[dict] = []
        self._until(lambda: answers, answers, number)
        assert "error" not in answers[0], (method, answers[0])
        return answers[0]["result"]

    def _until(self, done, answers=None, number=0) -> None:
        end = time.monotonic() + SECONDS
        while not done():
            while b"\0" not in self._unread:
                ready, _, _ = select.select([self._answers], [], [], max(0, end - time.monotonic()))
                assert ready, "Chromium does not answer"
                read = os.read(self._answers, 1 << 20)
                assert read, "Chromium has ended"
                self._unread += read
            text, _, self._unread = self._unread.partition(b"\0")
            message = json.loads(text)
            if "method" in message:
                self.events.append(message)
            elif message["id"] == number:
                answers.append(message)

"""Makes the demo's calls, showing each as curl before."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from api.cli.demo.calls import Call, curl
from api.supervisor.console import Voice

_TIMEOUT_S = 120.0


class DemoFailed(RuntimeError):
    """A step did not work; the text says what was answered and where to look."""


class DemoClient:
    """An HTTP client with the demo's key and voice."""

    def __init__(self, key: str, voice: Voice) -> None:
        self._http = httpx.Client(timeout=_TIMEOUT_S, trust_env=False)
        self._key = key
        self.voice = voice

    def make(self, call: Call, *, show: bool = True) -> dict[str, Any]:
        """Make the call and return the answer's JSON object. Raises DemoFailed with what the server said."""
        if show:
            self.voice.say(f"  $ {curl(call)}", style="cyan")
        try:
            answer = self._send(call)
        except httpx.HTTPError as error:
            raise DemoFailed(f"{call.method} {call.url}: {error or type(error).__name__}") from error
        if answer.is_error:
            raise DemoFailed(f"{call.method} {call.url} answered {answer.status_code}: {_reason(answer)}")
        found: dict[str, Any] = answer.json()
        return found

    def _send(self, call: Call) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._key}"} if call.keyed else {}
        if call.body_file is not None:
            headers["Content-Type"] = "application/json"
            return self._http.request(call.method, call.url, headers=headers, content=call.body_file.read_bytes())
        if not call.form:
            return self._http.request(call.method, call.url, headers=headers, json=call.body)
        with ExitStack() as opened:
            files: dict[str, Any] = {
                name: (value.name, opened.enter_context(value.open("rb")))
                for name, value in call.form.items()
                if isinstance(value, Path)
            }
            texts = {name: value for name, value in call.form.items() if isinstance(value, str)}
            return self._http.request(call.method, call.url, headers=headers, data=texts, files=files)


def _reason(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
    except json.JSONDecodeError:
        return answer.text[:500]
    if not isinstance(problem, dict):
        return answer.text[:500]
    errors = "; ".join(f"{each.get('field')}: {each.get('message')}" for each in problem.get("errors") or [])
    return " ".join(str(part) for part in (problem.get("detail", answer.text[:500]), errors) if part)

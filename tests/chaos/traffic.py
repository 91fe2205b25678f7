"""Numbered predictions, feedback and breaches, sent by threads that remember what they were answered."""

import itertools
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

NUMBERED = "VOL"  # the numeric feature that carries the number
_SENDERS = 4
_MOST_IN_A_BATCH = 20


@dataclass(frozen=True)
class Asked:
    """One request's numbers and what came of it; `status` None: the connection broke, so nobody knows."""

    numbers: tuple[int, ...]
    status: int | None
    inference_ids: tuple[str, ...] = ()
    kept: str | None = None


@dataclass
class Told:
    """Everything that was asked and answered so far."""

    asked: list[Asked] = field(default_factory=list)
    labelled: set[str] = field(default_factory=set)
    breaches: int = 0

    def answered(self) -> dict[str, int]:
        """Return the number behind each inference id that was answered with 200."""
        return {
            inference_id: number
            for one in self.asked
            for inference_id, number in zip(one.inference_ids, one.numbers, strict=False)
        }


class Traffic:
    """Sends against one deployment with a production of its own, and against one that only ever gets bad requests."""

    def __init__(self, base_url: str, key: str, row: dict[str, Any], *, seed: int) -> None:
        self._client = httpx.Client(
            base_url=base_url, headers={"Authorization": f"Bearer {key}"}, timeout=20, trust_env=False
        )
        self._row = row
        self._numbers = itertools.count(1)
        self._chance = random.Random(seed)
        self.told = Told()
        self._lock = threading.Lock()

    @contextmanager
    def flowing(self, good: str, bad: str | None) -> Iterator[None]:
        """Send all the time the block takes; bad requests too when there is a deployment to refuse them."""
        over = threading.Event()
        senders = [threading.Thread(target=self._send_until, args=(over, good)) for _ in range(_SENDERS)]
        if bad is not None:
            senders.append(threading.Thread(target=self._breach_until, args=(over, bad)))
        senders.append(threading.Thread(target=self._label_until, args=(over, good)))
        for sender in senders:
            sender.start()
        try:
            yield
        finally:
            over.set()
            for sender in senders:
                sender.join()

    def _send_until(self, over: threading.Event, deployment_id: str) -> None:
        while not over.is_set():
            with self._lock:
                size = self._chance.choice((1, 1, 1, _MOST_IN_A_BATCH))
                numbers = tuple(itertools.islice(self._numbers, size))
            one = self._predict(deployment_id, numbers)
            with self._lock:
                self.told.asked.append(one)
            if one.status != 200:
                time.sleep(0.02)

    def _predict(self, deployment_id: str, numbers: tuple[int, ...]) -> Asked:
        rows = [self._row | {NUMBERED: float(number)} for number in numbers]
        try:
            answer = self._client.post(f"/api/mlops/deployments/{deployment_id}/predict", json={"inputs": rows})
        except httpx.HTTPError:
            return Asked(numbers, None)
        if answer.status_code != 200:
            return Asked(numbers, answer.status_code)
        ids = tuple(answer.json()["inference_ids"])
        return Asked(numbers, 200, ids, answer.headers.get("inference-log"))

    def _breach_until(self, over: threading.Event, deployment_id: str) -> None:
        while not over.is_set():
            with suppress(httpx.HTTPError):
                answer = self._client.post(
                    f"/api/mlops/deployments/{deployment_id}/predict", json={"inputs": {"no such feature": 1}}
                )
                self.told.breaches += answer.status_code == 422
            over.wait(0.1)

    def _label_until(self, over: threading.Event, deployment_id: str) -> None:
        while not over.is_set():
            over.wait(0.5)
            with self._lock:
                unlabelled = [one for one in self.told.asked[-200:] if one.inference_ids]
            chosen = [one.inference_ids[0] for one in unlabelled[:50] if one.inference_ids[0] not in self.told.labelled]
            items = [{"inference_id": inference_id, "actual": "1"} for inference_id in chosen]
            if not items:
                continue
            with suppress(httpx.HTTPError):
                answer = self._client.post(f"/api/mlops/deployments/{deployment_id}/feedback", json={"items": items})
                if answer.status_code == 200:
                    self.told.labelled |= set(chosen) - set(answer.json()["unknown"])

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

"""What a request costs the event loop, measured from those that it works off: so much each, and so much a kilobyte."""

_FIRST_GUESS_S, _FIRST_GUESS_KB_S = 300e-6, 5e-6
_MEMORY = 0.9  # what a sample still weighs when the next one comes
_TRUST = 32.0  # how much the first guess weighs beside samples, in requests (or kilobytes) squared
_LEAST_S = 1e-6


class ServiceTime:
    """Seconds a request and a KiB of its body take: least squares over samples, of which old ones fade."""

    __slots__ = ("_both", "_kb", "_kb_s", "_kb_time", "_requests", "_requests_time", "request_s")

    def __init__(self) -> None:
        self.request_s, self._kb_s = _FIRST_GUESS_S, _FIRST_GUESS_KB_S
        self._requests = self._both = self._kb = self._requests_time = self._kb_time = 0.0

    def expect(self, kilobytes: float) -> float:
        """Return how many seconds of the loop a request with a body of this size takes."""
        return self.request_s + self._kb_s * kilobytes

    def learn(self, requests: int, kilobytes: float, seconds: float) -> None:
        """Note that so many requests with so much body together took so long."""
        self._requests = _MEMORY * self._requests + requests * requests
        self._both = _MEMORY * self._both + requests * kilobytes
        self._kb = _MEMORY * self._kb + kilobytes * kilobytes
        self._requests_time = _MEMORY * self._requests_time + requests * seconds
        self._kb_time = _MEMORY * self._kb_time + kilobytes * seconds
        self._solve()

    def _solve(self) -> None:
        """Solve the normal equations, held by the first guess where samples say nothing; neither cost is negative."""
        requests, kb, both = self._requests + _TRUST, self._kb + _TRUST, self._both
        requests_time = self._requests_time + _TRUST * _FIRST_GUESS_S
        kb_time = self._kb_time + _TRUST * _FIRST_GUESS_KB_S
        determinant = requests * kb - both * both
        self.request_s = (kb * requests_time - both * kb_time) / determinant
        self._kb_s = (requests * kb_time - both * requests_time) / determinant
        if self._kb_s < 0:
            self.request_s, self._kb_s = requests_time / requests, 0.0
        elif self.request_s < 0:
            self.request_s, self._kb_s = 0.0, kb_time / kb
        self.request_s = max(self.request_s, _LEAST_S)

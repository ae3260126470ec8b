"""A few requests in flight at once, and no more than that in memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = 20  # 12 devices a second, five requests each, with an answer after 0.3 s
_TICK = 0.5  # seconds: on Windows control-C reaches nobody who waits without a limit


class Stopped(Exception):
    """The work of others has failed, or control-C was pressed: what ends them all is raised by `each`."""


_worker = threading.local()


def pause(seconds: float) -> None:
    """Sleep. In work of `each` that is to end: raises Stopped, at once."""
    ended: threading.Event | None = getattr(_worker, "ended", None)
    if ended is None:
        time.sleep(seconds)
    elif ended.wait(seconds):
        raise Stopped


def each(work: Callable[[Item], Result], items: Iterable[Item], workers: int = WORKERS) -> Iterator[Result]:
    """The results of `work` in the order of `items`, which are read as they are needed.

    The first exception is raised when its turn comes; what had not begun is not done then, what had begun ends at its next `pause`. So
    it is with control-C.
    """
    ended = threading.Event()
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, "aws", lambda: setattr(_worker, "ended", ended))
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= 2 * workers:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())
    except BaseException:
        ended.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result(future: Future[Result]) -> Result:
    while not wait((future,), _TICK).done:
        pass
    return future.result()

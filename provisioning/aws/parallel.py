"""A few requests in flight at once, and no more than that in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = 20  # 12 devices a second, five requests each, with an answer after 0.3 s
_TICK = 0.5  # seconds: on Windows control-C reaches nobody who waits without a limit


def each(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int = WORKERS, stop: Callable[[], object] = lambda: None
) -> Iterator[Result]:
    """The results of `work` in the order of `items`, which are read as they are needed.

    The first exception is raised when its turn comes; what had not begun is not done then, what had begun is awaited. `stop` is called
    before that, for an exception and for control-C: work that waits may end sooner.
    """
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="aws")
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= 2 * workers:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result(future: Future[Result]) -> Result:
    while not wait((future,), _TICK).done:
        pass
    return future.result()

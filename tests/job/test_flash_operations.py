"""What each job costs the flash: on a real dual-core ESP32 a read takes 0.1 ms and an erase 45 ms, which is where the time goes.

The jobs are those of `make bench-link`, run as whole commands on a board without pacing: counts do not depend on time. A number that grows
past its limit is a defect, or a decision that is written down here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.bench.board import Board, board
from tests.bench.jobs import JOBS, Job
from tests.bench.product import Products

OTHERS = 28  # files of the user's in the root folder: littlefs walks past them for every path

# Job: most reads, the same with OTHERS beside it, most erases, most programs.
LIMITS = {
    "first update": (2300, 6500, 18, 320),
    "update, nothing changed": (1080, 1850, 0, 0),
    "update, one root changed": (3300, 8100, 8, 80),
    "verify": (1800, 3300, 0, 0),
    "import twinroot, after a reset": (170, 420, 0, 0),
    # A set's first connection: 2 programs and 110 reads of it are the mark that it has proven itself, and the module that sets it.
    "first mqtt(), after that": (720, 2300, 1, 8),
}


@pytest.fixture(scope="module")
def undo() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def products(undo: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Products:
    return Products(tmp_path_factory.mktemp("bench"), undo)


@pytest.fixture(scope="module", params=[0, OTHERS], ids=["alone", "crowded"])
def on(request: pytest.FixtureRequest) -> Iterator[Board]:
    with board(0, "none", paced=False, others=request.param) as made:
        yield made


def test_every_job_of_the_benchmark_has_a_limit() -> None:
    assert set(LIMITS) == {job.name for job in JOBS}


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_flash_operations(on: Board, products: Products, job: Job) -> None:
    alone, crowded, erases, programs = LIMITS[job.name]
    cost = job.run(on, products, 921600)
    found = (cost.reads, cost.erases, cost.programs)
    limits = (crowded if on.others else alone, erases, programs)
    print(job.name, "crowded" if on.others else "alone", found)
    assert all(one <= limit for one, limit in zip(found, limits, strict=True)), f"reads, erases, programs {found}, limits {limits}"
    assert cost.reads > 0

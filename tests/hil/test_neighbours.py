"""What is on the board and is not ours stays, and other people's tools work before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioning.job.report import Report
from provisioning.job.rollback import rollback
from provisioning.job.update import update
from tests.hil.bench import Bench, passed
from tests.hil.product import OTHER_PREFIX, Maker

Tool = Callable[[Bench, Path, str], None]

# On a board that has a main.py or boot.py of its own, that one is watched instead.
USERS = {
    "/main.py": "print('a program of the user')\n",
    "/boot.py": "# what the user does first\n",
    "/hil_data.bin": "0123456789" * 50,
    "/lib/hil_users.py": "x = 1\n",
}
_PUT = """import os
made = []
try: os.mkdir('/lib')
except OSError: pass
for path, text in %r.items():
    try: os.stat(path)
    except OSError:
        with open(path, 'w') as f: f.write(text)
        made.append(path)
import json
print(json.dumps(made))
"""
_REMOVE = "import os\nfor p in %r: os.remove(p)\n"


@pytest.fixture
def users(bench: Bench) -> Iterator[dict[str, str]]:
    """Files of the user on the board: path -> SHA-256 of everything there that is not twinroot's."""
    made = bench.ask(_PUT % USERS)
    yield bench.foreign()
    bench.run(_REMOVE % made)


def test_the_users_files_are_never_touched(bench: Bench, make: Maker, users: dict[str, str]) -> None:
    assert set(USERS) <= set(users)
    jobs: list[Callable[[], Report]] = [
        lambda: update(make(), make.device, bench.port),
        lambda: update(make(OTHER_PREFIX), make.device, bench.port),
        lambda: rollback(bench.port),
    ]
    for job in jobs:
        report = passed(job())
        assert not set(report.written) & set(users)
        assert bench.foreign() == users


# What a tool does before the update, and what it finds of that after it.
def _mpremote_before(bench: Bench, file: Path, name: str) -> None:
    bench.mpremote("cp", str(file), f":{name}")
    assert name in bench.mpremote("ls")


def _mpremote_after(bench: Bench, file: Path, name: str) -> None:
    assert bench.mpremote("exec", f"print(open('{name}').read())").strip() == file.read_text("utf-8").strip()
    back = file.with_suffix(".back")
    bench.mpremote("cp", f":{name}", str(back))
    assert back.read_bytes() == file.read_bytes()
    bench.mpremote("rm", f":{name}")
    assert name not in bench.mpremote("ls")


def _ampy_before(bench: Bench, file: Path, name: str) -> None:
    if "://" in bench.port:
        pytest.skip("ampy opens device names only")
    bench.ampy("put", str(file), name)
    assert name in bench.ampy("ls")


def _ampy_after(bench: Bench, file: Path, name: str) -> None:
    assert bench.ampy("get", name).strip() == file.read_text("utf-8").strip()
    program = file.with_suffix(".py")
    program.write_text(f"import os\nprint(len(open('{name}').read()))\nos.remove('{name}')\n", "utf-8")
    assert bench.ampy("run", str(program)).strip() == str(len(file.read_text("utf-8")))
    assert name not in bench.ampy("ls")


@pytest.mark.parametrize(("before", "after"), [(_mpremote_before, _mpremote_after), (_ampy_before, _ampy_after)], ids=["mpremote", "ampy"])
def test_others_tools_work_before_and_after(bench: Bench, make: Maker, tmp_path: Path, before: Tool, after: Tool) -> None:
    file = tmp_path / "hil.txt"
    file.write_text("".join(f"line {n} äöü\n" for n in range(20)), encoding="utf-8")
    before(bench, file, "hil.txt")
    passed(update(make(), make.device, bench.port))
    after(bench, file, "hil.txt")
    # They leave the board in a state that a job finds its way in.
    assert update(make(), make.device, bench.port).code == "unchanged"

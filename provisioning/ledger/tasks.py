"""What follows a PASS (a label, a command) and is not done yet: found from the rows, so that it survives every restart, on every station.

The outcome of a PASS names what is to follow it (`tasks`); a row of its own says of each that it was done or has failed. So a program that
was killed between the two leaves a task that is open, and a failure stays until somebody has done it again or said why nobody needs it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from provisioning.ledger.entry import RELEASE, TASK, parse
from provisioning.ledger.store import select
from provisioning.ledger.table import ENTRIES

DONE, FAILED, PENDING = "done", "failed", "pending"
LABEL, ON_PASS = "label", "on_pass"

Key = tuple[str, str, str]  # board, device, task


@dataclass(frozen=True)
class OpenTask:
    """`state`: pending (nothing is known of it) or failed; `seq`: the newest row of it."""

    task: str
    mac: str
    device: str
    attempt: str
    state: str
    seq: int
    at: str = ""
    message: str = ""


@dataclass
class OpenTasks:
    """Fed with the columns of rows, in order. The newest PASS of a board is the one whose tasks count."""

    tasks: dict[Key, OpenTask] = field(default_factory=dict)

    def take(self, seq: int, kind: str, attempt: str, mac: str | None, device: str | None, column: str | None) -> None:
        """A row that has a task, or is a release."""
        board, name = mac or "", device or ""
        if kind == RELEASE:
            for key in [key for key in self.tasks if key[0] == board or key[1] == name]:
                del self.tasks[key]
        elif kind == TASK:
            task, _, result = (column or "").partition("=")
            self.tasks.pop((board, name, task), None)
            if result != DONE:
                self.tasks[board, name, task] = OpenTask(task, board, name, attempt, FAILED, seq)
        else:
            for task in (column or "").split(","):
                if task:
                    self.tasks.pop((board, name, task), None)
                    self.tasks[board, name, task] = OpenTask(task, board, name, attempt, PENDING, seq)


def open_tasks(connection: Connection) -> OpenTasks:
    """All of a ledger: reads the columns of two rows a board that has a task, and the text of those that are open."""
    made = OpenTasks()
    one = ENTRIES.c
    columns = sa.select(one.seq, one.kind, one.attempt, one.mac, one.device, one.task)
    # Two queries, each by an index of its own.
    rows = [tuple(row) for wanted in (one.task > "", one.kind == RELEASE) for row in connection.execute(columns.where(wanted))]
    for row in sorted(rows, key=lambda row: int(row[0])):
        made.take(*row)
    for key, task in made.tasks.items():
        body = connection.execute(sa.select(one.body).where(one.seq == task.seq)).scalar_one()
        made.tasks[key] = described(task, body)
    return made


def described(task: OpenTask, body: str) -> OpenTask:
    """`task` with what its row says."""
    from dataclasses import replace

    entry = parse(body)
    return replace(task, at=entry.at, message=entry.fields.get("message", "") if entry.kind == TASK else "")


def is_done(connection: Connection, task: str, mac: str, device: str) -> bool:
    """Whether this board, as this device, had this done since it was last released."""
    done = False
    for entry in select(connection, mac=mac):
        if entry.kind == RELEASE:
            done = False
        elif entry.kind == TASK and (entry.fields.get("device"), entry.fields.get("task")) == (device, task):
            done = done or entry.fields.get("result") == DONE
    return done

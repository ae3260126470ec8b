"""Plans at work, in the ledger's database: which plan a fleet follows, where its waves and their devices are, whose turn it is.

Each change is one transaction that comes to the same when it is made twice, and, where a turn is given, one that looks in the same
transaction whether the turn is still had: a program that lost its turn changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from provisioning.errors import InputError, StationError
from provisioning.fleet import wave as states
from provisioning.fleet.carrier import DONE, SILENT, WAITING, Progress
from provisioning.fleet.records import Member, Wave
from provisioning.ledger.fleet_tables import DEVICES, MEMBERS, PLANS, TURNS, WAVES
from provisioning.ledger.store import Ledger

NOBODY = ""  # the wave of devices that are not served
_PAGE = 5000  # rows of one statement
_T = TypeVar("_T")
# The database's own time: the clocks of two computers differ, and a turn ends by one of them.
_NOW = {
    "sqlite": sa.text("CAST(strftime('%s', 'now') AS INTEGER)"),
    "postgresql": sa.text("CAST(floor(extract(epoch FROM clock_timestamp())) AS INTEGER)"),
}


class PlanBusy(StationError):
    """Another program works on the plan."""


class PlanEdited(InputError):
    """The file is not the one that is followed."""


@dataclass(frozen=True)
class Taken:
    """A plan that is followed. `sha256`: of its file; `body`: see start.py."""

    plan: str
    product: str
    sha256: str
    body: str
    created: int


class PlanRows:
    """The rows of plans in an open ledger; as the ledger, not shared between threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    # Plans.

    def plan(self, name: str) -> Taken | None:
        """The plan of that name that was taken on."""
        return self._ledger.read(lambda connection: _plan(connection, name))

    def open_plans(self, product: str) -> list[str]:
        """Names of the product's plans that are not over."""
        return self._ledger.read(lambda connection: _open_plans(connection, product))

    def take_on(self, plan: Taken, waves: Sequence[Wave], members: Mapping[str, Sequence[str]], absent: Mapping[str, str]) -> None:
        """Write plan, waves and devices down, all or nothing. A wave that has started stays as it is, with its devices. Raises InputError
        where another plan of the product is not over."""

        def work(connection: Connection) -> None:
            others = [name for name in _open_plans(connection, plan.product) if name != plan.plan]
            if others:
                raise other(plan.product, others[0])
            here = PLANS.c.plan == plan.plan
            connection.execute(PLANS.delete().where(here))
            connection.execute(PLANS.insert().values(**vars(plan)))
            fixed = set(
                connection.execute(sa.select(WAVES.c.wave).where(WAVES.c.plan == plan.plan, WAVES.c.state != states.PENDING)).scalars()
            )
            connection.execute(WAVES.delete().where(WAVES.c.plan == plan.plan, WAVES.c.wave.not_in(fixed)))
            connection.execute(MEMBERS.delete().where(MEMBERS.c.plan == plan.plan, MEMBERS.c.wave.not_in(fixed)))
            for wave in waves:
                if wave.wave in fixed:
                    connection.execute(
                        WAVES.update().where(WAVES.c.plan == plan.plan, WAVES.c.wave == wave.wave).values(number=wave.number)
                    )
                else:
                    connection.execute(WAVES.insert().values(**vars(wave)))
            rows: list[dict[str, object]] = [
                {"plan": plan.plan, "device": device, "wave": name, "state": WAITING, "detail": None, "changed": None}
                for name, devices in members.items()
                if name not in fixed
                for device in devices
            ]
            rows += [
                {"plan": plan.plan, "device": device, "wave": NOBODY, "state": states.NOT_SERVED, "detail": word, "changed": None}
                for device, word in absent.items()
            ]
            for start in range(0, len(rows), _PAGE):
                connection.execute(MEMBERS.insert(), rows[start : start + _PAGE])

        self._ledger.beside(work)

    # Waves.

    def waves(self, plan: str) -> list[Wave]:
        """In the order in which they run."""
        query = sa.select(*(WAVES.c[name] for name in Wave.__dataclass_fields__)).where(WAVES.c.plan == plan).order_by(WAVES.c.number)
        return self._ledger.read(lambda connection: [Wave(*row) for row in connection.execute(query)])

    def move(self, turn: Turn, wave: Wave, state: str, members: Mapping[str, Sequence[str]] | None = None, **values: object) -> None:
        """The wave is `state` from here on, and its devices with it: state -> states of those that become it. Raises PlanBusy."""
        assert state in states.NEXT[wave.state], (wave.state, state)  # noqa: S101  a defect of the program, found by its tests
        rows = (WAVES.c.plan == wave.plan) & (WAVES.c.wave == wave.wave)
        mine = (MEMBERS.c.plan == wave.plan) & (MEMBERS.c.wave == wave.wave)
        moment = values.pop("changed", None)

        def work(connection: Connection) -> None:
            if connection.execute(WAVES.update().where(rows, WAVES.c.state == wave.state).values(state=state, **values)).rowcount != 1:
                return  # it is done already, by the try before this one
            for after, before in (members or {}).items():
                connection.execute(
                    MEMBERS.update().where(mine, MEMBERS.c.state.in_(before)).values(state=after, detail=None, changed=moment)
                )

        self._fenced(turn, work)

    # Devices.

    def members(
        self, plan: str, wave: str | None = None, among: Sequence[str] | None = None, *, detail: str | None = None, most: int | None = None
    ) -> Iterator[Member]:
        """The devices of a plan, or of one of its waves, by name; `among`: only those in these states; `detail`: with these words; `most`:
        no more than so many."""
        conditions = {"plan": plan, "wave": wave, "detail": detail}
        query = sa.select(*(MEMBERS.c[name] for name in Member.__dataclass_fields__))
        query = query.where(*(MEMBERS.c[name] == value for name, value in conditions.items() if value is not None))
        if among is not None:
            query = query.where(MEMBERS.c.state.in_(among))
        query, after = query.order_by(MEMBERS.c.device).limit(min(most or _PAGE, _PAGE)), ""
        while True:
            rows = self._ledger.read(lambda connection: connection.execute(query.where(MEMBERS.c.device > after)).all())  # noqa: B023
            yield from (Member(*row) for row in rows)
            if most is not None or len(rows) < _PAGE:
                return
            after = rows[-1].device

    def counts(self, plan: str) -> dict[str, dict[str, int]]:
        """Wave -> state -> devices."""
        one = MEMBERS.c
        query = sa.select(one.wave, one.state, sa.func.count()).where(one.plan == plan).group_by(one.wave, one.state)
        found: dict[str, dict[str, int]] = {}
        for wave, state, count in self._ledger.read(lambda connection: connection.execute(query).all()):
            found.setdefault(wave, {})[state] = count
        return found

    def reasons(self, plan: str, wave: str, among: Sequence[str], most: int = 10) -> list[tuple[str, int]]:
        """(detail, devices) of those in these states, the most frequent first."""
        one, number = MEMBERS.c, sa.func.count().label("number")
        query = sa.select(one.detail, number).where(one.plan == plan, one.wave == wave, one.state.in_(among), one.detail.is_not(None))
        query = query.group_by(one.detail).order_by(number.desc(), one.detail).limit(most)
        return self._ledger.read(lambda connection: [(str(detail), int(count)) for detail, count in connection.execute(query)])

    def reached(self, plan: str, wave: str, count: int) -> int | None:
        """When so many devices of the wave were done, unix seconds; None where they are not."""
        one = MEMBERS.c
        query = sa.select(one.changed).where(one.plan == plan, one.wave == wave, one.state == DONE).order_by(one.changed)
        return self._ledger.read(lambda connection: connection.execute(query.offset(max(count - 1, 0)).limit(1)).scalar())

    def note(self, turn: Turn | None, wave: Wave, found: Iterable[Progress]) -> int:
        """Take over where devices are, by what may follow what; returns how many changed. `turn`: None for a fact that needs no turn, such
        as a board that was updated by cable. Raises PlanBusy."""
        known = {member.device: (member.state, member.changed or 0) for member in self.members(wave.plan, wave.wave)}
        steps: dict[str, tuple[str, Progress]] = {}
        for one in found:
            if one.device not in known:
                continue
            state, changed = known[one.device]
            if states.follows(state, one.state, newer=one.at > changed):
                steps[one.device] = steps.get(one.device, (state,))[0], one
                known[one.device] = one.state, one.at
        here = (MEMBERS.c.plan == wave.plan) & (MEMBERS.c.device == sa.bindparam("who")) & (MEMBERS.c.state == sa.bindparam("was"))
        values: dict[str, Any] = {"state": sa.bindparam("now"), "detail": sa.bindparam("why"), "changed": sa.bindparam("moment")}
        update = MEMBERS.update().where(here).values(**values)
        rows = [
            {"who": one.device, "was": was, "now": one.state, "why": one.detail or None, "moment": one.at} for was, one in steps.values()
        ]
        for start in range(0, len(rows), _PAGE):
            page = rows[start : start + _PAGE]
            work = partial(Connection.execute, statement=update, parameters=page)
            self._fenced(turn, work) if turn is not None else self._ledger.beside(work)
        return len(rows)

    def fall_silent(self, turn: Turn, wave: Wave, before: int, now: int) -> int:
        """Those who are under way and have said nothing since `before` are silent. Raises PlanBusy."""
        forward = wave.state not in states.GOING_BACK
        mine = (MEMBERS.c.plan == wave.plan) & (MEMBERS.c.wave == wave.wave) & MEMBERS.c.state.in_(states.UNDER_WAY[forward])
        quiet = mine & (sa.func.coalesce(MEMBERS.c.changed, 0) <= before)
        values = {"state": SILENT if forward else states.BACK_SILENT, "changed": now, "detail": None}
        return self._fenced(turn, lambda connection: int(connection.execute(MEMBERS.update().where(quiet).values(**values)).rowcount))

    def evidence(self, product: str, wave: Wave, version: int) -> list[tuple[str, bool, int]]:
        """Devices of the wave that said themselves that they have this version, or rolled it back: (device, whether it has it, when it was
        seen last)."""
        one = DEVICES.c
        query = (
            sa.select(one.device, one.version == version, one.seen)
            .join_from(DEVICES, MEMBERS, (one.device == MEMBERS.c.device) & (MEMBERS.c.plan == wave.plan) & (MEMBERS.c.wave == wave.wave))
            .where(one.product == product, (one.version == version) | (one.refused == version))
        )
        return [(row[0], bool(row[1]), int(row[2] or 0)) for row in self._ledger.read(lambda connection: connection.execute(query).all())]

    # Turns.

    def take_turn(self, plan: str, holder: str, seconds: int) -> None:
        """Have the turn on a plan for so long, or have it longer. Raises PlanBusy, which says who has it."""

        def work(connection: Connection) -> tuple[str, int]:
            now = _NOW[connection.dialect.name]
            insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            statement = insert(TURNS).values(plan=plan, holder=holder, until=sa.literal(seconds) + now)
            new = {"holder": statement.excluded.holder, "until": statement.excluded.until}
            free = sa.or_(TURNS.c.holder == holder, TURNS.c.until <= now)
            connection.execute(statement.on_conflict_do_update(index_elements=[TURNS.c.plan], set_=new, where=free))
            has, left = connection.execute(sa.select(TURNS.c.holder, TURNS.c.until - now).where(TURNS.c.plan == plan)).one()
            return str(has), int(left)

        has, left = self._ledger.beside(work)
        if has != holder:
            raise PlanBusy(
                "plan-busy",
                f"{has} works on the plan {plan}, and has its turn for {max(left, 0)} s more unless it goes on.",
                "Let it work, or stop it there; then run this again.",
            )

    def give_turn(self, plan: str, holder: str) -> None:
        """Give the turn back, where `holder` has it still."""
        gone = TURNS.delete().where(TURNS.c.plan == plan, TURNS.c.holder == holder)
        self._ledger.beside(lambda connection: connection.execute(gone))

    def _fenced(self, turn: Turn, work: Callable[[Connection], _T]) -> _T:
        def fenced(connection: Connection) -> _T:
            has = connection.execute(sa.select(TURNS.c.holder).where(TURNS.c.plan == turn.plan)).scalar()
            if has != turn.holder:
                raise lost(turn.plan, has)
            return work(connection)

        turn.check()
        return self._ledger.beside(fenced)


class Turn:
    """The turn on a plan, had by this program until it is not renewed any more (turn.py)."""

    plan: str
    holder: str

    def check(self) -> None:
        """Raises PlanBusy when the turn may have gone to another program."""
        raise NotImplementedError


def lost(plan: str, holder: str | None) -> PlanBusy:
    """This program's turn has ended."""
    who = f"{holder} has it" if holder else "it took too long"
    return PlanBusy("plan-busy", f"The turn on the plan {plan} was lost: {who}.", "Run this again; it goes on where the plan stands.")


def other(product: str, plan: str) -> InputError:
    """A fleet follows one plan at a time."""
    return InputError(
        "plan-other",
        f"The fleet of {product} follows the plan {plan}, which is not over.",
        "Finish it with `twinroot migrate run` and its plan file, or end it with `twinroot migrate end`.",
    )


def _plan(connection: Connection, name: str) -> Taken | None:
    row = connection.execute(sa.select(*(PLANS.c[each] for each in Taken.__dataclass_fields__)).where(PLANS.c.plan == name)).first()
    return Taken(*row) if row is not None else None


def _open_plans(connection: Connection, product: str) -> list[str]:
    query = sa.select(PLANS.c.plan).where(PLANS.c.product == product).order_by(PLANS.c.created)
    waves = sa.select(WAVES.c.plan).where(WAVES.c.state.in_(states.OPEN))
    halted = query.where(PLANS.c.plan.in_(waves))
    return [str(name) for name in connection.execute(halted).scalars()]

"""Jobs at work: a job is rolled out into executions, one a thing; executions change state; jobs end by themselves or by their abort rule.

By the developer guide of AWS IoT ("Jobs", "Job rollout and abort configuration", "Jobs notifications"). What it leaves open is decided
here: in each minute since a job began, its allowance is handed out at once, at the beginning; an abort cancels what is queued and not
what is in progress, as CancelJob without `force` does.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from provisioning.standin.account import shadows
from provisioning.standin.account.registry import groups_of, thing_arn, things_in
from provisioning.standin.account.state import AccountState
from provisioning.standin.account.store import Record

PENDING = ("IN_PROGRESS", "QUEUED")  # in the order in which a thing gets them
COMPLETED = ("SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT")
TERMINAL = (*COMPLETED, "CANCELED", "REMOVED")
DEFAULT_RATE = 1000  # things a minute when a job names none
_FAILURES = {"FAILED": ("FAILED",), "REJECTED": ("REJECTED",), "TIMED_OUT": ("TIMED_OUT",), "ALL": ("FAILED", "REJECTED", "TIMED_OUT")}
_MINUTE = 60.0
_NOTIFIED = 15  # pending executions in a notification

Execution = Record


# -- what a thing has to do ----------------------------------------------------------------------------------------------


def pending(account: AccountState, thing: str) -> list[Execution]:
    """Executions in progress, then queued ones, each in the order in which they were made."""
    found = account.table("executions").where("thing", thing)
    return [each for status in PENDING for each in found if each["status"] == status]


def latest(account: AccountState, job: str, thing: str) -> Execution | None:
    """The execution of `job` on `thing` with the highest number."""
    found = [each for each in account.table("executions").where("thing", thing) if each["job"] == job]
    return max(found, key=lambda each: int(each["number"]), default=None)


def document(account: AccountState, job: str) -> Any:
    """The job's document, as JSON has it."""
    record = account.table("jobs").get(job)
    return json.loads(record["document"]) if record else None


def shown(account: AccountState, execution: Execution, *, with_document: bool = True) -> dict[str, Any]:
    """JobExecution as devices get it; times in whole seconds."""
    found = summary(execution) | {
        "thingName": execution["thing"],
        "status": execution["status"],
        "statusDetails": execution["details"] or None,
        "approximateSecondsBeforeTimedOut": seconds_left(account, execution),
        "jobDocument": document(account, execution["job"]) if with_document else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def summary(execution: Execution) -> dict[str, Any]:
    """JobExecutionSummary as devices get it."""
    times = {name: execution.get(name) for name in ("queuedAt", "startedAt", "lastUpdatedAt")}
    return {
        "jobId": execution["job"],
        **{name: int(at) for name, at in times.items() if at is not None},
        "versionNumber": execution["version"],
        "executionNumber": execution["number"],
    }


def seconds_left(account: AccountState, execution: Execution) -> int | None:
    due = _due(execution)
    return max(0, int(due - account.now())) if due is not None and execution["status"] in PENDING else None


def _due(execution: Execution) -> float | None:
    """When it times out: by the job's timer, or the step's, whichever is first."""
    return min((execution[name] for name in ("due", "stepDue") if execution.get(name) is not None), default=None)


# -- what devices learn of it -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def notifying(account: AccountState, *things: str) -> Iterator[None]:
    """Sends notify to each of `things` whose list of pending executions another one joined or left inside, and notify-next when the first
    one is another."""
    before = {thing: _names(pending(account, thing)) for thing in things}
    yield
    for thing, was in before.items():
        now = pending(account, thing)
        names, base = _names(now), f"$aws/things/{thing}/jobs/"
        stamp = int(account.now())
        if set(names) != set(was):
            jobs: dict[str, list[Any]] = {}
            for each in now[:_NOTIFIED]:
                jobs.setdefault(each["status"], []).append(summary(each))
            account.post(base + "notify", {"timestamp": stamp, "jobs": jobs})
        if names[:1] != was[:1]:
            message: dict[str, Any] = {"timestamp": stamp}
            if now:
                message["execution"] = shown(account, now[0])
            account.post(base + "notify-next", message)


def _names(executions: list[Execution]) -> list[tuple[str, int]]:
    return [(each["job"], each["number"]) for each in executions]


# -- states ----------------------------------------------------------------------------------------------------------------


def change(account: AccountState, execution: Execution, **fields: Any) -> Execution:
    """Replace fields of an execution; its version counts up. A terminal state may end its job."""
    now = account.now()
    status = fields.get("status", execution["status"])
    if status == "IN_PROGRESS" and execution["status"] == "QUEUED":
        minutes = ((account.table("jobs").get(execution["job"]) or {}).get("timeoutConfig") or {}).get("inProgressTimeoutInMinutes")
        fields |= {"startedAt": now, "due": now + minutes * _MINUTE if minutes else None}
    key = (execution["job"], execution["thing"], str(execution["number"]))
    with notifying(account, execution["thing"]):
        changed = account.table("executions").change(*key, lastUpdatedAt=now, version=execution["version"] + 1, **fields)
        if status == "SUCCEEDED":
            _has_packages(account, execution)
        if status in TERMINAL:
            progress(account, execution["job"])
    return changed


def _has_packages(account: AccountState, execution: Execution) -> None:
    """Where the catalog is configured so: the thing's reserved shadow has the package versions that its job installs."""
    if not (account.table("settings").get("packages") or {}).get("enabled"):
        return
    for arn in (account.table("jobs").get(execution["job"]) or {}).get("destinationPackageVersions", ()):
        package, _, version = arn.partition(":package/")[2].partition("/version/")
        attributes = (account.table("versions").get(package, version) or {}).get("attributes", {})
        reported = {package: {"version": version, "attributes": attributes}}
        shadows.update(account, execution["thing"], shadows.PACKAGES, {"state": {"reported": reported}})


def counted(account: AccountState, job: str) -> Counter[str]:
    """How many executions of `job` are in which state."""
    return Counter(each["status"] for each in account.table("executions").where("job", job))


def progress(account: AccountState, job: str) -> None:
    """Abort the job when its rule says so; end it when every execution has ended and none is to come."""
    record = account.table("jobs").get(job)
    if record is None or record["status"] != "IN_PROGRESS":
        return
    counts = counted(account, job)
    completed = sum(counts[status] for status in COMPLETED)
    for rule in (record.get("abortConfig") or {}).get("criteriaList", ()):
        failed = sum(counts[status] for status in _FAILURES[rule["failureType"]])
        if completed >= rule["minNumberOfExecutedThings"] and failed * 100 >= rule["thresholdPercentage"] * completed and failed:
            cancel(
                account,
                record,
                reason="ABORT_CRITERIA_MET",
                comment=f"{rule['failureType']}: {failed} of {completed} executions, threshold {rule['thresholdPercentage']} percent",
            )
            return
    if record["targetSelection"] == "SNAPSHOT" and not record["waiting"] and not any(counts[status] for status in PENDING):
        now = account.now()
        account.table("jobs").change(job, status="COMPLETED", completedAt=now, lastUpdatedAt=now)


def cancel(account: AccountState, record: Record, *, force: bool = False, reason: str | None = None, comment: str | None = None) -> None:
    """End a job: what waits gets no execution, what is queued is canceled, with `force` also what is in progress."""
    now = account.now()
    account.table("jobs").change(
        record["jobId"],
        status="CANCELED",
        completedAt=now,
        lastUpdatedAt=now,
        reasonCode=reason,
        comment=comment,
        forceCanceled=force or None,
        waiting=[],
        window=None,
    )
    for each in account.table("executions").where("job", record["jobId"]):
        if each["status"] == "QUEUED" or (force and each["status"] == "IN_PROGRESS"):
            change(account, each, status="CANCELED", forceCanceled=True if force else None)


# -- time ------------------------------------------------------------------------------------------------------------------


def rate(account: AccountState, record: Record) -> int:
    """Things a minute that `record`, a job, may notify now."""
    config = record.get("jobExecutionsRolloutConfig") or {}
    most = int(config.get("maximumPerMinute", DEFAULT_RATE))
    growing = config.get("exponentialRate")
    if not growing:
        return most
    criteria, counts = growing["rateIncreaseCriteria"], counted(account, record["jobId"])
    steps = [
        number // criteria[name]
        for name, number in (("numberOfNotifiedThings", sum(counts.values())), ("numberOfSucceededThings", counts["SUCCEEDED"]))
        if criteria.get(name)
    ]
    return int(min(most, growing["baseRatePerMinute"] * growing["incrementFactor"] ** max(steps, default=0)))


def _roll_out(account: AccountState, record: Record) -> None:
    """What is left of a minute's allowance of a job, or the whole of the next minute's."""
    now, waiting = account.now(), record["waiting"]
    minute, used = record.get("minute"), record.get("used", 0)
    if minute is None or now >= minute + _MINUTE:
        minute, used = now, 0
    count = max(0, rate(account, record) - used)
    notified, left = waiting[:count], waiting[count:]
    account.table("jobs").change(
        record["jobId"],
        waiting=left,
        minute=minute,
        used=used + len(notified),
        window=minute + _MINUTE if left else None,
        lastUpdatedAt=now,
    )
    for thing in notified:
        queue(account, record["jobId"], thing)
    progress(account, record["jobId"])


def queue(account: AccountState, job: str, thing: str) -> None:
    """An execution of `job` for `thing`."""
    was = latest(account, job, thing)
    number = was["number"] + 1 if was else 1
    now = account.now()
    with notifying(account, thing):
        account.table("executions").put(
            job,
            thing,
            str(number),
            record={
                "job": job,
                "thing": thing,
                "number": number,
                "status": "QUEUED",
                "details": {},
                "queuedAt": now,
                "lastUpdatedAt": now,
                "version": 1,
            },
        )


def add_targets(account: AccountState, job: str, things: list[str]) -> None:
    """Let `things` wait for an execution of `job`; the first minute's allowance is due at once, or what is left of the minute that runs."""
    record = account.table("jobs").get(job)
    if record is None or not things:
        return
    account.table("jobs").change(job, waiting=[*record["waiting"], *things], window=record.get("window") or account.now())


def next_due(account: AccountState) -> float | None:
    """When something happens by itself next: a minute of a rollout, a timeout."""
    moments = [record["window"] for record in account.table("jobs").values() if record.get("window") is not None]
    for each in account.table("executions").where("status", "IN_PROGRESS"):
        if (due := _due(each)) is not None:
            moments.append(due)
    return min(moments, default=None)


def run_due(account: AccountState) -> None:
    """Do what has become due by the account's clock, in the order of time."""
    now = account.now()
    while (due := next_due(account)) is not None and due <= now:
        with account.at(due), account.transaction():
            for record in account.table("jobs").values():
                if record.get("window") is not None and record["window"] <= due:
                    _roll_out(account, record)
            for each in account.table("executions").where("status", "IN_PROGRESS"):
                if (end := _due(each)) is not None and end <= due:
                    change(account, each, status="TIMED_OUT")


# -- things come and go -----------------------------------------------------------------------------------------------------


def targets(account: AccountState, arns: list[str]) -> list[str]:
    """The things that a job's targets name, each once. A target that is not there is the caller's to find."""
    found: list[str] = []
    for arn in arns:
        kind, _, name = arn.rpartition(":")[2].partition("/")
        found += [name] if kind == "thing" else things_in(account, name)
    return list(dict.fromkeys(found))


def _continuous(account: AccountState, thing: str) -> Iterator[tuple[Record, bool]]:
    """Continuous jobs in progress that target a group, and whether `thing` is one of their targets."""
    arns = {account.arn(f"thinggroup/{name}") for name in groups_of(account, thing)} | {thing_arn(account, thing)}
    for record in account.table("jobs").values():
        if record["targetSelection"] == "CONTINUOUS" and record["status"] == "IN_PROGRESS":
            yield record, bool(arns & set(record["targets"]))


def thing_joined(account: AccountState, thing: str) -> None:
    """`thing` is in another group: continuous jobs of it begin there."""
    for record, is_target in _continuous(account, thing):
        if is_target and thing not in record["waiting"] and latest(account, record["jobId"], thing) is None:
            add_targets(account, record["jobId"], [thing])


def thing_left(account: AccountState, thing: str) -> None:
    """`thing` is in a group no more: what continuous jobs queued for it because of that is removed."""
    for record, is_target in _continuous(account, thing):
        if not is_target:
            _remove(account, record, thing)


def thing_is_gone(account: AccountState, thing: str) -> None:
    for record in account.table("jobs").values():
        _remove(account, record, thing, also=("IN_PROGRESS",))


def _remove(account: AccountState, record: Record, thing: str, also: tuple[str, ...] = ()) -> None:
    if thing in record["waiting"]:
        account.table("jobs").change(record["jobId"], waiting=[each for each in record["waiting"] if each != thing])
        progress(account, record["jobId"])
    found = latest(account, record["jobId"], thing)
    if found is not None and found["status"] in ("QUEUED", *also):
        change(account, found, status="REMOVED")

"""`twinroot aws job`: a signed set to many devices by AWS IoT Jobs."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import click

from provisioning.cli import _aws as aws_option
from provisioning.cli import _options as option
from provisioning.cli._options import FILE
from provisioning.cli._output import conclude, emit, say
from provisioning.errors import BoardError, InputError

_SHOWN = 20  # devices by name in a text for people
_BAD = ("FAILED", "REJECTED", "TIMED_OUT")


@click.group("job")
def group() -> None:
    """Send a signed set to devices by AWS IoT Jobs, and follow it."""


@group.command()
@click.argument("file", type=FILE, metavar="SIGNED_SET")
@click.option("--job", "job_id", metavar="ID", help="Name of the job; default: PRODUCT-VERSION of the set.")
@click.option("--device", "names", multiple=True, metavar="ID", help="A device; as often as wanted.")
@option.devices("The CSV of devices; default: that of --product.")
@aws_option.product
@click.option("--topic", help="Devices get the set in chunks from this MQTT topic, where somebody publishes them.")
@aws_option.bucket
@aws_option.role("Role with which AWS IoT reads from the bucket.")
@click.option("--package", "version", is_flag=True, help="Name the set's version in the package catalog: devices that succeed have it.")
@click.option("--per-minute", type=int, default=100, show_default=True, metavar="N", help="Devices that are told in a minute, 1 to 1000.")
@click.option("--abort-percent", type=float, default=10.0, show_default=True, metavar="P", help="Stop at this share of failures; 0: never.")
@click.option("--abort-minimum", type=int, default=10, show_default=True, metavar="N", help="And not before so many have been told.")
@click.option("--timeout", type=int, default=1440, show_default=True, metavar="MINUTES", help="What a device has; 0: for ever.")
@aws_option.region
@aws_option.profile
def create(
    file: Path,
    job_id: str | None,
    names: tuple[str, ...],
    devices: Path | None,
    product: Path | None,
    topic: str | None,
    bucket: str | None,
    role_arn: str | None,
    version: bool,
    per_minute: int,
    abort_percent: float,
    abort_minimum: int,
    timeout: int,
    region: str | None,
    profile: str | None,
) -> int:
    """Make the job for the signed set in SIGNED_SET. Run again it makes nothing twice.

    The document holds the set where it fits. --topic sends devices to a topic, --bucket with --role-arn to an AWS IoT stream.
    """
    from provisioning.aws import jobs, packages, streams
    from provisioning.ota import job_document

    if (bucket is None) != (role_arn is None) or (topic and bucket):
        raise InputError("bad-arguments", "--bucket and --role-arn go together, and without --topic.", "Give both, or the topic.")
    rollout = jobs.Rollout(per_minute, abort_percent or None, abort_minimum, timeout or None)
    container = _read(file)
    manifest = job_document.manifest_of(container)
    loaded = aws_option.loaded(product)
    wanted = aws_option.things(loaded, names or ((manifest["device"],) if manifest["device"] and not devices else ()), devices)
    _check(file, manifest, wanted)
    name = job_id or re.sub(r"[^a-zA-Z0-9_-]+", "-", f"{manifest['product']}-{manifest['version']}")
    if not bucket:
        document = job_document.document(container, topic)
    account = aws_option.connected(aws_option.region_for(region, loaded), profile)
    arns = [packages.describe(account, packages.name_of(manifest), str(manifest["version"])).arn] if version else []
    stream = streams.create(account, container, bucket, role_arn) if bucket and role_arn else None
    if stream:
        document = job_document.document(container, stream=stream)
    jobs.create(account, name, wanted, document, rollout, packages=arns)
    carrier = "stream" if stream else "topic" if topic else "parts"
    if topic:
        say(f"Publish the chunks on {topic} until the job is over: `twinroot sign job {file} --topic {topic} --out FOLDER` writes them.")
    data = {
        "job": name,
        "region": account.region,
        "devices": len(wanted),
        "product": manifest["product"],
        "version": manifest["version"],
        "carrier": carrier,
        "topic": topic,
        "stream": stream,
        "packages": arns,
        "requests": account.requests,
    }
    emit(data, f"job {name}: version {manifest['version']} of {manifest['product']} to {len(wanted)} devices, by {carrier}")
    return 0


@group.command()
@click.argument("job_id", metavar="JOB")
@click.option("--details", is_flag=True, help="What each device said of it: a request more for each.")
@aws_option.region
@aws_option.profile
def status(job_id: str, details: bool, region: str | None, profile: str | None) -> int:
    """How far a job is. Exit code 1 when a device failed, rejected it, or ran out of time."""
    from provisioning.aws import jobs

    account = aws_option.connected(region, profile)
    job = jobs.describe(account, job_id)
    rows = list(jobs.executions(account, job_id, details=details))
    bad = [row for row in rows if row.status in _BAD]
    counts = ", ".join(f"{count} {word}" for word, count in job.counts.items() if count) or "nobody has been told yet"
    lines = [f"job {job_id}: {job.status}{f' ({job.reason})' if job.reason else ''}; {counts}"]
    lines += [f"  {row.thing}: {row.status}{f', {row.detail}' if row.detail else ''}" for row in bad[:_SHOWN]]
    if len(bad) > _SHOWN:
        lines.append(f"  … and {len(bad) - _SHOWN} more; --json has all")
    data: dict[str, Any] = {
        "job": job_id,
        "region": account.region,
        "state": job.status,
        "reason": job.reason,
        "counts": job.counts,
        "executions": [vars(row) for row in rows],
    }
    failure = None
    if bad:
        hint = "--details shows what each said." if not details else "Correct the cause and send a set of a higher version."
        failure = BoardError("job-failed", f"{len(bad)} of {len(rows)} devices of job {job_id} have not taken the set.", hint)
    return conclude(data, "\n".join(lines), failure)


@group.command()
@click.argument("job_id", metavar="JOB")
@click.option("--reason", required=True, metavar="TEXT", help="Why; AWS shows it with the job.")
@click.option("--force", is_flag=True, help="Stop devices that have begun as well; they stay with the set that they have.")
@aws_option.region
@aws_option.profile
def cancel(job_id: str, reason: str, force: bool, region: str | None, profile: str | None) -> int:
    """No further device begins. A job that is over stays as it is."""
    from provisioning.aws import jobs

    account = aws_option.connected(region, profile)
    jobs.cancel(account, job_id, reason, force=force)
    state = jobs.state(account, job_id)
    emit({"job": job_id, "region": account.region, "state": state}, f"job {job_id}: {state}")
    return 0


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError("no-file", f"{file} cannot be read ({error.strerror})", "twinroot sign set DIR --key KEY --out FILE") from None


def _check(file: Path, manifest: dict[str, Any], wanted: list[str]) -> None:
    """What devices would refuse."""
    if manifest["device"] and len(wanted) > 1:
        raise InputError(
            "set-of-one-device", f"{file} is signed for {manifest['device']} alone, and {len(wanted)} are named.", "Sign one for all."
        )
    if manifest["expires"] <= time.time():
        raise InputError("set-expired", f"{file} has expired: devices refuse it.", "Sign it again: twinroot sign set")

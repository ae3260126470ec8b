"""Static thing groups: what a job of more devices than AWS takes by name is sent to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

from provisioning.aws.iot_api import Aws, Exists, NotFound
from provisioning.aws.parallel import each
from provisioning.errors import InputError

_PAGE = 250  # things a page: AWS's maximum
_NAME = re.compile(r"[a-zA-Z0-9:_-]{1,128}")  # CreateThingGroup


def ensure(aws: Aws, name: str, things: Iterable[str]) -> str:
    """The ARN of the static group that has these things and no others, made and filled as far as it is not.

    Safe to repeat wherever it stopped. Raises InputError when the group has a thing that is not named (a job would reach it), when it
    is a dynamic one, or when a thing is not in the registry.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            "bad-group-name", f"{name[:40]!r} cannot be the name of a thing group.", "1 to 128 letters, digits, ':', '_' and '-'."
        )
    wanted = dict.fromkeys(things)
    arn = _found(aws, name)
    there = set(members(aws, name)) if arn else set()
    if not arn:
        try:
            arn = str(aws.call("create_thing_group", thingGroupName=name)["thingGroupArn"])
        except Exists:  # another computer was faster, or an answer was lost and the request repeated
            arn = _found(aws, name)
            if not arn:
                raise
            there = set(members(aws, name))
    if strange := sorted(there - wanted.keys()):
        raise InputError(
            "exists-differently",
            f"Thing group {name} has {len(strange)} things that are not among those named, {strange[0]} for one.",
            "Name another group, or take them out of it in AWS.",
        )
    for _ in each(partial(_add, aws, name), (thing for thing in wanted if thing not in there)):
        pass
    return arn


def members(aws: Aws, name: str) -> Iterable[str]:
    """The names of a group's things, page by page. Raises NotFound."""
    return (str(thing) for thing in aws.pages("list_things_in_thing_group", "things", thingGroupName=name, maxResults=_PAGE))


def _found(aws: Aws, name: str) -> str | None:
    try:
        found = aws.call("describe_thing_group", thingGroupName=name)
    except NotFound:
        return None
    if found.get("queryString"):
        raise InputError("exists-differently", f"Thing group {name} is a dynamic one.", "Name another group.")
    return str(found["thingGroupArn"])


def _add(aws: Aws, name: str, thing: str) -> None:
    try:
        aws.call("add_thing_to_thing_group", thingGroupName=name, thingName=thing)
    except NotFound as e:
        raise InputError(
            "no-such-thing", f"{thing} is not in AWS's registry in {aws.region}.", "`twinroot aws register` puts devices there."
        ) from e

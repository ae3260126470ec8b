"""The keys of a plan file, as people review them: a fleet's migration in waves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from provisioning.config.validate import BlockModel, problem

# The id of a job has 64 characters (AWS IoT Jobs): PLAN_WAVE_forward.
PLAN_NAME = r"^[A-Za-z0-9][A-Za-z0-9-]{0,29}$"
WAVE_NAME = r"^[A-Za-z0-9][A-Za-z0-9-]{0,23}$"
# Amazon S3, "General purpose bucket naming rules"; AWS IAM, "Identify AWS resources with ARNs".
BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
ROLE = r"^arn:aws[a-z-]*:iam::\d{12}:role/[A-Za-z0-9_+=,.@/-]+$"
_SHARE = "a share such as 5%"
_TIME = "a time such as 90s, 30m, 12h or 7d"
Share = Annotated[str, Field(pattern=r"^(100|\d{1,2}(\.\d{1,2})?)%$", description=_SHARE)]
Time = Annotated[str, Field(pattern=r"^\d{1,6}[smhd]$", description=_TIME)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="64 hexadecimal digits")]
Name = Annotated[str, Field(min_length=1, max_length=128)]


class ProductsFile(BlockModel):
    """Product files, relative to this file."""

    now: str = Field(description="the product file of the phase that the fleet is in")
    wanted: str = Field(description="the product file of the phase that is wanted, with a higher version")
    back: str = Field(description="the product file of the phase now with a version above that: the way back")


class PinnedFile(BlockModel):
    """A signed set."""

    file: str = Field(description="a file of `twinroot sign set`, relative to this file")
    sha256: Sha256 | None = Field(default=None, description="its SHA-256, 64 hexadecimal digits; without it the file of the start counts")


class SetsFile(BlockModel):
    """Signed sets of both directions, made before the first wave starts."""

    forward: PinnedFile = Field(description="the signed set of products.wanted: `{file: forward.bin}`")
    back: PinnedFile = Field(description="the signed set of products.back: `{file: back.bin}`")


class RulesFile(BlockModel):
    """When a wave is stopped, and when the next one begins."""

    failed: Share = Field(default="5%", description="a share: more failures than this among those that answered stop the wave, such as 5%")
    silent: Share = Field(default="20%", description="a share: more silence than this in the wave stops it, such as 20%")
    silent_after: Time = Field(default="3d", description="a time without a word after which a device counts as silent, such as 3d")
    rolled_back: int = Field(default=0, ge=0, le=1_000_000, description="how many devices may roll back; one more stops the wave")
    minimum: int = Field(default=10, ge=1, le=1_000_000, description="devices that must have answered before a share counts")
    success: Share = Field(default="90%", description="a share: a wave of which fewer are done is not followed by another, such as 90%")
    pause: Time = Field(default="0s", description="a time between that and the start of the next wave, such as 1d")


class StreamFile(BlockModel):
    """Where AWS IoT takes the container of a stream from."""

    bucket: str = Field(pattern=BUCKET, description="the name of an S3 bucket: 3 to 63 small letters, digits, '-' and '.'")
    role: str = Field(pattern=ROLE, description='the ARN of a role by which AWS IoT reads it: "arn:aws:iam::123456789012:role/iot"')


class JobsFile(BlockModel):
    """How AWS IoT Jobs carry it."""

    per_minute: int = Field(default=100, ge=1, le=1000, description="devices that are told of the job in a minute, 1 to 1000")
    timeout: Time = Field(default="1d", description="a time that a device has from its start on, at most 7d, such as 1d")
    seen_within: Time = Field(default="30d", description="a time: devices that were silent for longer are not offered it, such as 30d")
    firmware: str = Field(default="1.22", pattern=r"^\d+(\.\d+){0,2}$", description='the oldest firmware that takes a set, such as "1.22"')
    stream: StreamFile | None = Field(default=None, description="a block: an AWS IoT stream for a set that is too large for a job")
    topic: str | None = Field(default=None, description="an MQTT topic from which devices get a set that is too large for a job")


class WaveFile(BlockModel):
    """Some devices, and what takes the set to them."""

    name: str = Field(pattern=WAVE_NAME, description="a name of up to 24 letters, digits and '-'")
    by: Literal["jobs", "cable"] = Field(description="what carries the set: jobs or cable")
    devices: list[Name] | None = Field(default=None, min_length=1, description="a list of devices' ids")
    canary: int | None = Field(default=None, ge=1, le=1_000_000, description="a number: so many of those that fit, spread over firmware")
    where: dict[str, str | list[str]] | None = Field(default=None, description="columns of the list of devices: `{site: berlin}`")
    firmware: str | list[str] | None = Field(default=None, description="a version of the firmware, or a list of them, in quotes")
    phase: str | list[str] | None = Field(default=None, description="the phase of the set that devices have, or a list of them")
    seen_within: Time | None = Field(default=None, description="a time: devices with a sign of life since then, such as 7d")
    rest: bool = Field(default=False, description="true: all that no other wave has")
    count: int | None = Field(default=None, ge=0, description="how many devices that were when the plan was made")

    @model_validator(mode="after")
    def _one_way(self) -> WaveFile:
        selects = [name for name in ("canary", "where", "firmware", "phase", "seen_within") if getattr(self, name) is not None]
        ways = [*(["devices"] if self.devices else []), *(["rest"] if self.rest else []), *selects[:1]]
        if len(ways) != 1:
            found = f"found {' and '.join(ways)}" if ways else "names no devices"
            raise problem(f"{found}, expected a list, `rest: true`, or what devices must fit", "`devices:`, `where:`, `canary:`, …")
        return self


class PlannedFile(BlockModel):
    """What the plan was made from."""

    at: str = Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$",
        description='the moment, UTC, such as "2026-12-01T10:00:00Z": times of "seen within" are reckoned from it',
    )
    devices: int = Field(ge=0, description="how many devices the waves have in sum")
    members: Sha256 = Field(description="SHA-256 over the devices of the waves, 64 hexadecimal digits")
    not_served: int = Field(default=0, ge=0, description="how many devices no wave has")


class PlanFile(BlockModel):
    """A migration of a fleet."""

    plan: str = Field(pattern=PLAN_NAME, description="a name of up to 30 letters, digits and '-'")
    product: str = Field(min_length=1, description="the product's name, as its file has it")
    products: ProductsFile = Field(description="product files: `{now: …, wanted: …, back: …}`")
    sets: SetsFile = Field(description="signed sets: `{forward: {file: …}, back: {file: …}}`")
    rules: RulesFile = Field(default_factory=RulesFile, description="a block: when a wave is stopped, when the next one begins")
    jobs: JobsFile = Field(default_factory=JobsFile, description="a block: how AWS IoT Jobs carry it")
    waves: list[WaveFile] = Field(min_length=1, max_length=100, description="a list of waves: `- {name: canary, by: jobs, canary: 10}`")
    planned: PlannedFile = Field(description="a block that `twinroot migrate plan --waves` writes")

"""A number where a text with a unit is expected: the hint is something that is then taken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from provisioning.config import yaml_source
from provisioning.config.plan_file import JobsFile, RulesFile
from provisioning.config.validate import BlockModel, validate
from provisioning.errors import InputError


@pytest.mark.parametrize(
    ("model", "line", "hint"),
    [
        (RulesFile, "failed: 5", "Write `5%`."),
        (RulesFile, 'failed: "5"', "Write `5%`."),
        (RulesFile, "silent: 12.5", "Write `12.5%`."),
        (RulesFile, "silent_after: 3", "Write `3d`; h, m and s are hours, minutes and seconds."),
        (RulesFile, 'pause: "0"', "Write `0d`; h, m and s are hours, minutes and seconds."),
        (JobsFile, "firmware: 1.22", "Put it in quotes."),
        (RulesFile, "failed: 500", ""),
        (RulesFile, "failed: -5", ""),
        (RulesFile, "failed: few", ""),
    ],
)
def test_the_hint_works(model: type[BlockModel], line: str, hint: str) -> None:
    with pytest.raises(InputError) as error:
        validate(model, yaml_source.load(Path("plan.yaml"), text=f"{line}\n"))
    assert error.value.hint == (hint or "Correct it there; docs/yaml.md describes every key.")
    key, _, value = line.partition(": ")
    if found := re.search("`(.+)`", hint):
        value = found[1]
    if hint:
        made = value if found else f'"{value}"'
        validate(model, yaml_source.load(Path("plan.yaml"), text=f"{key}: {made}\n"))

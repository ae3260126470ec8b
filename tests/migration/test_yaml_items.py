"""One more item of a list in a YAML file: everything else stays as it was, character by character."""

from __future__ import annotations

import pytest
import yaml

from provisioning.errors import InputError
from provisioning.migration.yaml_edit import with_item

BEFORE = "a: 1  # one\ncloud:\n  region: r  # where\n"
PATH = ("cloud", "retired")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  retired: []\n", "  retired: [C]\n"),
        ("  retired: [A]  # gone\n", "  retired: [A, C]  # gone\n"),
        ("  retired: [A, 'B',]\n", "  retired: [A, 'B', C,]\n"),
        ("  retired: [\n    A,  # first\n    B  # then\n  ]\n", "  retired: [\n    A,  # first\n    B, C  # then\n  ]\n"),
        ("  retired:\n    - A\n", "  retired:\n    - A\n    - C\n"),
        ("  retired:\n  - A  # first\n  - B  # then\n\n# end\n", "  retired:\n  - A  # first\n  - B  # then\n  - C\n\n# end\n"),
        ('  retired:\n    -   "A"', '  retired:\n    -   "A"\n    -   C'),
        ("  retired:\n    - A\n  phase: p\n", "  retired:\n    - A\n    - C\n  phase: p\n"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_one_more_item(before: str, after: str, newline: str) -> None:
    text, wanted = (BEFORE + part for part in (before, after))
    made = with_item(text.replace("\n", newline), PATH, "C")
    assert made == wanted.replace("\n", newline)
    assert yaml.safe_load(made)["cloud"]["retired"][-1] == "C"
    assert with_item(made, PATH, "C") == made, "once more changes nothing"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_list_that_is_not_there(newline: str) -> None:
    made = with_item(BEFORE.replace("\n", newline), PATH, "C")
    assert yaml.safe_load(made) == {"a": 1, "cloud": {"region": "r", "retired": ["C"]}}
    assert made.replace(f"retired: [C]{newline}  ", "", 1) == BEFORE.replace("\n", newline)
    assert with_item("cloud: {region: r}  # x\n", PATH, "C") == "cloud: {region: r, retired: [C]}  # x\n"


@pytest.mark.parametrize("text", ["  retired: A\n", "  retired: {A: 1}\n", "  retired: [[A]]\n", "  retired: &x [A]\n  other: *x\n"])
def test_what_is_not_a_list_of_words(text: str) -> None:
    """An alias is one list at two places: it is changed at both, or not at all."""
    try:
        made = yaml.safe_load(with_item(BEFORE + text, PATH, "C"))
    except InputError as error:
        assert error.code == "cannot-edit"
    else:
        assert made["cloud"]["retired"] == ["A", "C"] == made["cloud"]["other"]

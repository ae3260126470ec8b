"""Values that are kept of a document that has passed: the same as the models', never of another document, and nothing secret."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from provisioning import result_cache
from provisioning.config import checked, yaml_source
from provisioning.config.block import Values
from provisioning.config.document import Loc
from provisioning.config.load import SCHEMAS, list_boards, load_board, load_product
from provisioning.config.models import MODELS
from provisioning.config.values import Secret
from provisioning.errors import InputError
from tests.support.product_files import PRODUCT, write_product

RICH = PRODUCT.replace("weather-station", "Weather-1").replace(".us-east-1.", ".US-EAST-1.") + (
    "wifi: {ssid: Net-of-mine, password: !secret wifi_password}\n"
    "lab: {resolve: {'*:8883': '127.0.0.1:8883'}}\n"
    "time: {servers: [TIME.example, pool.ntp.org]}\n"
    "version: !env BUILD\n"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of kept files, of this test alone."""
    made = tmp_path / "cache"
    monkeypatch.setattr(result_cache, "folder", lambda: made)
    monkeypatch.setenv("BUILD", "7")
    return made


def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the models were asked")

    monkeypatch.setattr(checked, "_validated", refuse)


def rich(folder: Path, password: str = "secret-of-mine", text: str = RICH) -> Path:
    (folder / "secrets.yaml").write_text(f"wifi_password: {password}\n")
    return write_product(folder, text)


@pytest.mark.parametrize("name", list_boards())
def test_a_cached_board_is_the_models_board(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_board(name)
    no_models(monkeypatch)
    again = load_board(name)
    assert again == first
    assert again.summary() == first.summary()
    assert pickle.loads(pickle.dumps(again)) == first  # as a worker process gets it


def test_a_cached_document_is_what_the_model_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = yaml_source.load(rich(tmp_path))
    model = checked._validated("product", document)
    first = checked.checked("product", document)
    no_models(monkeypatch)
    again = checked.checked("product", document)
    assert first == again

    def same(block: Any, by_model: Any) -> None:
        if isinstance(block, Values):
            assert list(vars(block)) == list(type(by_model).model_fields)
            for name, value in vars(block).items():
                same(value, getattr(by_model, name))
        else:
            assert (block, type(block)) == (by_model, type(by_model))

    same(again, model)
    assert (again.version, again.cloud.endpoint) == (7, again.cloud.endpoint.lower())  # type: ignore[union-attr]


def test_what_has_changed_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    product = load_product(rich(tmp_path))
    assert product.version == 7
    for text in (
        RICH.replace("region: us-east-1", "region: useast1"),
        RICH + "devises: x.csv\n",
        RICH.replace("[TIME.example", "['https://x'"),
    ):
        assert text != RICH
        with pytest.raises(InputError):
            load_product(rich(tmp_path, text=text))
    monkeypatch.setenv("BUILD", "8")
    assert load_product(rich(tmp_path)).version == 8
    monkeypatch.setenv("BUILD", "x")
    with pytest.raises(InputError, match="version"):
        load_product(rich(tmp_path))


def test_quotes_make_another_document(tmp_path: Path) -> None:
    load_product(rich(tmp_path))
    with pytest.raises(InputError, match="version"):
        load_product(rich(tmp_path, text=RICH.replace("!env BUILD", "'7'")))


def test_secrets_are_not_cached(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_product(rich(tmp_path)).wifi.password.reveal() == "secret-of-mine"  # type: ignore[union-attr]
    no_models(monkeypatch)  # not even the hash depends on a secret
    made = load_product(rich(tmp_path, password="another-secret"))
    assert made.wifi is not None
    assert made.wifi.password == Secret("another-secret", "")
    assert (repr(made.wifi.password), repr(made.wifi.ssid)) == ("!secret wifi_password", "(not shown)")
    text = "".join(file.read_text() for file in folder.iterdir())
    assert not [word for word in ("secret-of-mine", "another", "Net-of-mine", "Weather-1") if word in text]


def test_every_secret_of_the_models_is_known() -> None:
    def secrets(annotation: Any, loc: Loc) -> list[Loc]:
        if annotation is Secret:
            return [loc]
        if fields := getattr(annotation, "model_fields", None):
            return [found for name, field in fields.items() for found in secrets(field.annotation, (*loc, name))]
        inside = get_args(annotation)
        if getattr(annotation, "__origin__", None) is dict:
            return secrets(inside[1], (*loc, "*"))
        return [found for part in inside for found in secrets(part, loc)]

    for kind in SCHEMAS:
        assert tuple(dict.fromkeys(secrets(MODELS[kind], ()))) == checked.SECRETS.get(kind, ())  # type: ignore[call-overload]  # a plan is not cached


@pytest.mark.parametrize("damage", [lambda b: b[:-3], lambda b: b"", lambda b: b.replace(b"same", b"keys"), lambda b: b"x" + b])
def test_a_damaged_file_counts_as_none(tmp_path: Path, folder: Path, damage: Any) -> None:
    path = rich(tmp_path)
    good = load_product(path)
    for file in folder.iterdir():
        file.write_bytes(damage(file.read_bytes()))
    assert load_product(path) == good


def test_a_place_that_cannot_be_used_is_no_error(tmp_path: Path, folder: Path) -> None:
    folder.write_text("a file where the folder should be")
    assert load_product(rich(tmp_path)).version == 7


def test_a_command_does_not_load_the_models(tmp_path: Path) -> None:
    """Of a file that has passed before: what loads them is a change of the start's time that nobody would see in a test."""
    path = write_product(tmp_path, PRODUCT)
    program = (
        f"import sys; from provisioning import result_cache as kept; from pathlib import Path; "
        f"kept.folder = lambda: Path({str(tmp_path / 'own')!r}); "
        f"from provisioning.config.load import load_product; load_product({str(path)!r}); print('pydantic' in sys.modules)"
    )
    said = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() for _ in range(2)]
    assert said == ["True", "False"]

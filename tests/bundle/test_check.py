"""`check` where certificates and keys are not here: no mistake where the line makes them, and said what they will be needed for."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.bundle import check
from provisioning.config.load import load_product
from provisioning.config.summary import summary, text
from provisioning.errors import InputError
from tests.support.product_files import PRODUCT, write_identity, write_product

ISSUE = PRODUCT + "  issue: {ca: factory/ca.crt.pem, ca_key: factory/ca.key.pem}\n"


def test_where_an_identity_is(tmp_path: Path) -> None:
    write_identity(tmp_path, "ws-0001")
    write_identity(tmp_path, "ws-0002")[1].unlink()
    (tmp_path / "all.csv").write_text("device\nws-0001\nws-0002\nws-0003\n")
    product = load_product(write_product(tmp_path, ISSUE))
    found = check.check_devices(product, None, tmp_path / "all.csv")
    assert found == {"ws-0001": check.HERE, "ws-0002": check.ON_ITS_BOARD, "ws-0003": check.TO_BE_MADE}
    said = text(summary(product, found))
    assert "3 checked" in said and all(where in said for where in found.values())


def test_what_is_wrong_is_still_wrong(tmp_path: Path) -> None:
    certificate, key = write_identity(tmp_path, "ws-0001")
    key.unlink()
    certificate.write_text("no certificate")
    for template, code in ((ISSUE, "bad-pem"), (PRODUCT, "bad-pem")):
        with pytest.raises(InputError) as caught:
            check.check_devices(load_product(write_product(tmp_path, template)), "ws-0001")
        assert caught.value.code == code
    certificate.unlink()
    with pytest.raises(InputError) as caught:  # nobody makes it here
        check.check_devices(load_product(write_product(tmp_path, PRODUCT)), "ws-0001")
    assert caught.value.code == "file-missing" and "make" not in caught.value.hint.split(";")[0]


def test_the_list_of_devices_need_not_be_here(tmp_path: Path) -> None:
    product = load_product(write_product(tmp_path, ISSUE + "devices: devices.csv\n"))
    assert check.check_devices(product) == {}
    assert "the list is not here" in text(summary(product, {}))

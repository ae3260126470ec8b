"""A provider is a file: what its names are, which roots anchor them, and what a product with it gets."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

import pytest

from provisioning.config.load import load_product
from provisioning.config.unit import client_id, single_device
from provisioning.errors import InputError
from provisioning.identity.factory import make_ca
from provisioning.trust.endpoint import classify
from provisioning.trust.providers import PROVIDERS
from provisioning.trust.roots import load_roots
from provisioning.trust.routes import Route, WrongRoots, check, derive

AZURE_ROOTS = ("DigiCertGlobalRootG2", "MicrosoftRSARootCA2017")


def product(folder: Path, cloud: str, more: str = "") -> Path:
    file = folder / "product.yaml"
    file.write_text(
        f"product: p\nboard: esp32-generic\ncloud: {cloud}\n{more}"
        "identity: {certificate: 'd/{device}.crt', key: 'd/{device}.key'}\nclient_id: '{device}'\n"
    )
    return file


@pytest.mark.parametrize("name", PROVIDERS)
def test_each_provider_says_what_others_build_on(name: str) -> None:
    provider = PROVIDERS[name]
    assert provider.sources
    assert provider.title
    assert provider.no_data <= set(provider.classes)
    assert set(provider.roots) <= set(load_roots()), "a root of a provider is in certs/"
    assert provider.roots or provider.any_host
    assert "{client_id}" in "".join(provider.topics) or not provider.topics


def test_no_host_name_belongs_to_two_providers() -> None:
    for host in ("a-ats.iot.us-east-1.amazonaws.com", "hub1.azure-devices.net", "broker.lan"):
        assert sum(provider.read(host) is not None for provider in PROVIDERS.values()) <= 1


@pytest.mark.parametrize(
    ("host", "cls", "roots"),
    [
        ("hub1.azure-devices.net", "hub", AZURE_ROOTS),
        ("hub1.azure-devices.us", "hub", ()),
        ("hub1.azure-devices.cn", "hub", ()),
        ("global.azure-devices-provisioning.net", "provisioning", AZURE_ROOTS),
        ("a.hub1.azure-devices.net", "invalid", ()),
        ("azure-devices.net", "invalid", ()),
        ("-x.azure-devices.net", "invalid", ()),
        ("xazure-devices.net", "custom", ()),
    ],
)
def test_names_of_azure(host: str, cls: str, roots: tuple[str, ...]) -> None:
    found = classify(host)
    assert (found.cls, found.roots) == (cls, roots)


def test_a_hub_has_one_route_with_both_roots(tmp_path: Path) -> None:
    """The device tries one root after the other: the second one is there for the day on which the first one goes."""
    loaded = load_product(product(tmp_path, "{endpoint: hub1.azure-devices.net}"))
    assert loaded.routes == (Route("hub", "hub1.azure-devices.net", 8883, AZURE_ROOTS),)
    assert loaded.provider == "azure-iot-hub"


@pytest.mark.parametrize(
    ("cloud", "code"),
    [
        ("{endpoint: hub1.azure-devices.us}", "roots-unknown"),
        ("{endpoint: hub1.azure-devices.net, port: 443}", "needs-alpn"),
        ("{endpoint: hub1.azure-devices.net, phase: ats-first}", "bad-phase"),
        ("{endpoint: global.azure-devices-provisioning.net}", "not-a-data-endpoint"),
        ("{provider: aws, endpoint: hub1.azure-devices.net}", "other-provider"),
        ("{provider: azure-iot-hub, endpoint: broker.lan}", "other-provider"),
        ("{provider: mosquitto, endpoint: hub1.azure-devices.net}", "other-provider"),
        ("{provider: mosquitto, endpoint: broker.lan}", "roots-unknown"),
        ("{endpoint: broker.lan}", "roots-unknown"),
        ("{provider: gcp, endpoint: broker.lan}", "bad-value"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(tmp_path: Path, cloud: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        load_product(product(tmp_path, cloud))
    assert caught.value.code == code
    assert "product.yaml:3" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("host", "root"),
    [("hub1.azure-devices.net", "AmazonRootCA1"), ("a-ats.iot.us-east-1.amazonaws.com", "DigiCertGlobalRootG2")],
)
def test_a_root_of_one_provider_cannot_anchor_another(host: str, root: str) -> None:
    with pytest.raises(WrongRoots, match="can never validate"):
        check(Route("r", host, 8883, (root,)))


def test_a_broker_of_ones_own_is_anchored_by_the_roots_of_the_product(tmp_path: Path) -> None:
    """Both CAs are on the device: the one that ends and the next."""
    pins = "roots:\n"
    for name in ("home-2026", "home-2036"):
        certificate, _ = make_ca(name, tmp_path / name)
        pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()
        pins += f"  {name}: {{file: {certificate.as_posix()}, sha256: '{pin}'}}\n"
    loaded = load_product(product(tmp_path, "{provider: mosquitto, endpoint: broker.lan}", pins))
    assert loaded.routes == (Route("main", "broker.lan", 8883, ("home-2026", "home-2036")),)
    assert derive("broker.lan", provider="mosquitto", pinned=("x",)) == (Route("main", "broker.lan", 8883, ("x",)),)


def test_a_client_id_that_the_provider_does_not_take(tmp_path: Path) -> None:
    loaded = load_product(product(tmp_path, "{endpoint: hub1.azure-devices.net}").with_name("product.yaml"))
    assert client_id(loaded, single_device("ws-0001")) == "ws-0001"
    file = tmp_path / "product.yaml"
    file.write_text(file.read_text().replace("client_id: '{device}'", "client_id: 'weather station {device}'"))
    with pytest.raises(InputError) as caught:
        client_id(load_product(file), single_device("ws-0001"))
    assert caught.value.code == "bad-client-id"
    assert "Azure IoT Hub" in caught.value.message

"""Routes: what is derived from an endpoint, and what is refused because it can never work."""

from __future__ import annotations

import pytest

from provisioning.errors import InputError
from provisioning.trust.providers.aws import ATS_ROOTS, LEGACY_ROOTS
from provisioning.trust.routes import PHASES, Route, check, derive

ATS = "a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com"
LEGACY = "a1b2c3d4e5f6g7.iot.us-east-1.amazonaws.com"
MUMBAI = "a1b2c3d4e5f6g7-ats.iot.ap-south-1.amazonaws.com"
G5 = LEGACY_ROOTS[0]


def names(routes: tuple[Route, ...]) -> list[tuple[str, str]]:
    return [(r.name, r.host) for r in routes]


def test_an_ats_endpoint_gives_both_routes_itself_first() -> None:
    routes = derive(ATS)
    assert routes == (
        Route("ats", ATS, 8883, ("AmazonRootCA1", "AmazonRootCA3")),
        Route("legacy", LEGACY, 8883, (G5,)),
    )


def test_a_legacy_endpoint_stays_first_for_its_pair_may_not_exist_yet() -> None:
    assert names(derive(LEGACY, 443)) == [("legacy", LEGACY), ("ats", ATS)]
    assert {r.port for r in derive(LEGACY, 443)} == {443}


def test_a_region_with_ats_only_gives_one_route() -> None:
    assert names(derive(MUMBAI)) == [("ats", MUMBAI)]


@pytest.mark.parametrize("endpoint", [ATS, LEGACY])
@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_decides_which_routes_and_in_which_order(endpoint: str, phase: str) -> None:
    host = {"ats": ATS, "legacy": LEGACY}
    wanted = {"legacy-only": ["legacy"], "legacy-first": ["legacy", "ats"], "ats-first": ["ats", "legacy"], "ats-only": ["ats"]}[phase]
    assert names(derive(endpoint, phase=phase)) == [(cls, host[cls]) for cls in wanted]


@pytest.mark.parametrize(
    "endpoint", [ATS, LEGACY, MUMBAI, "x.credentials.iot.us-east-1.amazonaws.com", "x.jobs.iot.eu-west-1.amazonaws.com"]
)
def test_what_is_derived_passes_the_check(endpoint: str) -> None:
    for route in derive(endpoint):
        check(route)


def refused(error: pytest.ExceptionInfo[InputError], code: str, *parts: str) -> None:
    assert error.value.code == code
    assert error.value.hint and "\n" not in error.value.message
    for part in parts:
        assert part in error.value.message


@pytest.mark.parametrize("root", LEGACY_ROOTS)
@pytest.mark.parametrize("host", [ATS, MUMBAI, "x.jobs.iot.us-east-1.amazonaws.com", "data.iot-fips.us-east-1.amazonaws.com"])
def test_verisign_on_a_host_with_ats_certificates_is_refused(host: str, root: str) -> None:
    with pytest.raises(InputError) as error:
        check(Route("r", host, 8883, ("AmazonRootCA1", root)))
    refused(error, "root-cannot-anchor", root, host)


@pytest.mark.parametrize("root", ATS_ROOTS)
def test_an_ats_root_on_a_legacy_host_is_refused(root: str) -> None:
    with pytest.raises(InputError) as error:
        check(Route("r", LEGACY, 8883, (G5, root)))
    refused(error, "root-cannot-anchor", root, LEGACY)
    assert ATS in error.value.hint


def test_a_legacy_route_in_a_region_with_ats_only_is_refused() -> None:
    host = "a1b2.iot.ap-south-1.amazonaws.com"
    for action in (lambda: check(Route("r", host, 8883, (G5,))), lambda: derive(host), lambda: check(Route("r", host, 8883, ("Lab",)))):
        with pytest.raises(InputError) as error:
            action()
        refused(error, "ats-only-region", host, "ap-south-1")
        assert "a1b2-ats.iot.ap-south-1.amazonaws.com" in error.value.hint
    for phase in ("legacy-only", "legacy-first", "ats-first"):
        with pytest.raises(InputError) as error:
            derive(MUMBAI, phase=phase)
        refused(error, "ats-only-region", phase)


@pytest.mark.parametrize("host", [ATS, LEGACY, "broker.example"])
def test_a_root_of_the_lab_is_allowed_anywhere(host: str) -> None:
    check(Route("lab", host, 18883, ("StandInAts",)))


def test_any_root_is_allowed_on_a_custom_domain() -> None:
    check(Route("own", "mqtt.example.com", 8883, ("AmazonRootCA1", G5)))


def test_a_custom_domain_has_no_derived_route() -> None:
    with pytest.raises(InputError) as error:
        derive("mqtt.example.com")
    refused(error, "roots-unknown", "mqtt.example.com")


@pytest.mark.parametrize("host", ["", "192.0.2.7", ATS + ":8883", "mqtts://" + ATS, "iot.us-east-1.amazonaws.com"])
def test_what_is_no_endpoint_is_refused(host: str) -> None:
    for action in (lambda: derive(host), lambda: check(Route("r", host, 8883, ("Lab",)))):
        with pytest.raises(InputError) as error:
            action()
        refused(error, "bad-endpoint", repr(host))


def test_ports_roots_and_phases_that_are_none() -> None:
    for port in (0, -1, 65536):
        with pytest.raises(InputError) as error:
            check(Route("r", ATS, port, ("AmazonRootCA1",)))
        refused(error, "bad-port", str(port))
    with pytest.raises(InputError) as error:
        check(Route("r", ATS, 8883, ()))
    refused(error, "no-roots", ATS)
    with pytest.raises(InputError) as error:
        derive(ATS, phase="someday")
    refused(error, "bad-phase", "someday")

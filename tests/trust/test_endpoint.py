"""The endpoint grammar: a table of hosts with everything that is expected of them, and properties of all hosts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.cli.main import run
from provisioning.trust.endpoint import classify
from provisioning.trust.providers import PROVIDERS
from provisioning.trust.providers.aws import ATS_ROOTS, LEGACY_ROOTS
from provisioning.trust.regions import REGIONS
from provisioning.trust.related import related

P = "a1b2c3d4e5f6g7"
ATS, G5, NONE = ATS_ROOTS, LEGACY_ROOTS, ()
COM, CN, EU = "amazonaws.com", "amazonaws.com.cn", "amazonaws.eu"
EUSC = ("AmazonRootCA1", "AmazonRootCA3", "AmazonRootCA4")

TWO_ROOTS = [
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
]
ONE_ROOT = ["ap-south-1", "ca-central-1", "sa-east-1", "us-west-1", "eu-west-3", "eu-north-1", "ap-east-1", "me-south-1", "il-central-1"]

# host, class, region, partition, pair, roots
TABLE: list[tuple[str, str, str | None, str | None, str | None, tuple[str, ...]]] = [
    *[(f"{P}-ats.iot.{r}.{COM}", "ats", r, "aws", f"{P}.iot.{r}.{COM}", ATS) for r in TWO_ROOTS],
    *[(f"{P}.iot.{r}.{COM}", "legacy", r, "aws", f"{P}-ats.iot.{r}.{COM}", G5) for r in TWO_ROOTS],
    *[(f"{P}-ats.iot.{r}.{COM}", "ats", r, "aws", None, ATS) for r in ONE_ROOT],
    *[(f"{P}.iot.{r}.{COM}", "legacy", r, "aws", None, NONE) for r in ONE_ROOT],
    # China: its own domain; Beijing had VeriSign, Ningxia never
    (f"{P}-ats.iot.cn-north-1.{CN}", "ats", "cn-north-1", "aws-cn", f"{P}.iot.cn-north-1.{CN}", ATS),
    (f"{P}.iot.cn-north-1.{CN}", "legacy", "cn-north-1", "aws-cn", f"{P}-ats.iot.cn-north-1.{CN}", G5),
    (f"{P}.ats.iot.cn-north-1.{CN}", "ats", "cn-north-1", "aws-cn", None, ATS),
    (f"{P}-ats.iot.cn-northwest-1.{CN}", "ats", "cn-northwest-1", "aws-cn", None, ATS),
    (f"{P}.jobs.iot.cn-north-1.{CN}", "jobs", "cn-north-1", "aws-cn", None, ATS),
    (f"{P}.iot.cn-north-1.{COM}", "invalid", None, None, None, NONE),
    (f"{P}-ats.iot.us-east-1.{CN}", "invalid", None, None, None, NONE),
    # GovCloud: ATS only
    (f"{P}-ats.iot.us-gov-west-1.{COM}", "ats", "us-gov-west-1", "aws-us-gov", None, ATS),
    (f"{P}.iot.us-gov-west-1.{COM}", "legacy", "us-gov-west-1", "aws-us-gov", None, NONE),
    (f"{P}-ats.iot.us-gov-east-1.{COM}", "ats", "us-gov-east-1", "aws-us-gov", None, ATS),
    # a region launched after the table was written: ATS only
    (f"{P}-ats.iot.ap-southeast-9.{COM}", "ats", "ap-southeast-9", "aws", None, ATS),
    (f"{P}.iot.mx-central-1.{COM}", "legacy", "mx-central-1", "aws", None, NONE),
    # the other services of an account
    (f"{P}.credentials.iot.us-east-1.{COM}", "credentials", "us-east-1", "aws", None, ATS),
    (f"{P}.credentials.iot.ap-south-1.{COM}", "credentials", "ap-south-1", "aws", None, ATS),
    (f"{P}.jobs.iot.eu-west-1.{COM}", "jobs", "eu-west-1", "aws", None, ATS),
    (f"data.jobs.iot.eu-west-1.{COM}", "jobs", "eu-west-1", "aws", None, ATS),
    (f"{P}-ats.jobs.iot.eu-west-1.{COM}", "invalid", None, None, None, NONE),
    (f"{P}-ats.credentials.iot.eu-west-1.{COM}", "invalid", None, None, None, NONE),
    # FIPS
    (f"data.iot-fips.us-east-1.{COM}", "fips", "us-east-1", "aws", None, ATS),
    (f"data.iot-fips.us-gov-west-1.{COM}", "fips", "us-gov-west-1", "aws-us-gov", None, ATS),
    (f"data.jobs.iot-fips.us-west-2.{COM}", "fips", "us-west-2", "aws", None, ATS),
    (f"{P}.credentials.iot-fips.us-west-2.{COM}", "fips", "us-west-2", "aws", None, ATS),
    (f"{P}-ats.iot-fips.us-east-1.{COM}", "invalid", None, None, None, NONE),
    # the names that AWS's SDKs use for data of any account
    (f"data-ats.iot.eu-west-2.{COM}", "invalid", None, None, None, NONE),
    (f"data.iot.eu-west-2.{COM}", "invalid", None, None, None, NONE),
    (f"data.iot.ap-south-1.{COM}", "invalid", None, None, None, NONE),
    (f"data.ats.iot.cn-north-1.{CN}", "invalid", None, None, None, NONE),
    (f"data-ats.iot.cn-northwest-1.{CN}", "invalid", None, None, None, NONE),
    (f"data1.iot.eu-west-2.{COM}", "legacy", "eu-west-2", "aws", f"data1-ats.iot.eu-west-2.{COM}", G5),
    # the European Sovereign Cloud: its own domain, ATS only, roots cross-signed by three of Amazon's
    (f"{P}-ats.iot.eusc-de-east-1.{EU}", "ats", "eusc-de-east-1", "aws-eusc", None, EUSC),
    (f"{P}.iot.eusc-de-east-1.{EU}", "legacy", "eusc-de-east-1", "aws-eusc", None, NONE),
    (f"{P}.credentials.iot.eusc-de-east-1.{EU}", "credentials", "eusc-de-east-1", "aws-eusc", None, EUSC),
    (f"{P}-ats.iot.eusc-de-west-1.{EU}", "ats", "eusc-de-west-1", "aws-eusc", None, EUSC),
    (f"{P}-ats.iot.eusc-de-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"{P}-ats.iot.eu-west-1.{EU}", "invalid", None, None, None, NONE),
    (f"data-ats.iot.eusc-de-east-1.{EU}", "invalid", None, None, None, NONE),
    # inside AWS's domain, and no device endpoint
    (f"iot.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"iot-fips.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"s3.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"api.tunneling.iot.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"vpce-0a1b.data.iot.us-east-1.vpce.{COM}", "invalid", None, None, None, NONE),
    (COM, "invalid", None, None, None, NONE),
    (CN, "invalid", None, None, None, NONE),
    (f"us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"{P}-ats.iot.{COM}", "invalid", None, None, None, NONE),
    (f"{P}-ats.iot.us-east.{COM}", "invalid", None, None, None, NONE),
    (f"{P}-ats.iot.useast1.{COM}", "invalid", None, None, None, NONE),
    # -ats in the wrong place
    (f"{P}.iot-ats.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"{P}.ats.iot.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"{P}.iot.us-east-1-ats.{COM}", "invalid", None, None, None, NONE),
    (f"{P}-ats-ats.iot.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"-ats.iot.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"ats.iot.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"ats-{P}.iot.us-east-1.{COM}", "legacy", "us-east-1", "aws", f"ats-{P}-ats.iot.us-east-1.{COM}", G5),
    (f"{P}ats.iot.us-east-1.{COM}", "legacy", "us-east-1", "aws", f"{P}ats-ats.iot.us-east-1.{COM}", G5),
    (f"x.{P}-ats.iot.us-east-1.{COM}", "invalid", None, None, None, NONE),
    # look-alikes outside of it
    (f"{P}-ats.iot.us-east-1.{COM}.evil.example", "custom", None, None, None, NONE),
    (f"{P}-ats.iot.us-east-1.evil{COM}", "custom", None, None, None, NONE),
    (f"{P}-ats.iot.us-east-1.amazonaws.co", "custom", None, None, None, NONE),
    (f"{P}-ats.iot.us-east-1.amazonaws.com.co", "custom", None, None, None, NONE),
    (f"{P}-ats.iot.us-east-1.amazonaws.com.cn.example", "custom", None, None, None, NONE),
    (f"{P}-ats.iot.us-east-1.arnazonaws.com", "custom", None, None, None, NONE),
    (f"{P}-ats.iot.us-east-1.xn--mazonaws-1fg.com", "custom", None, None, None, NONE),
    (f"{P}-ats.iot.us-east-1.api.aws", "custom", None, None, None, NONE),
    (f"{P}-ats.iot.us-east-1.аmazonaws.com", "invalid", None, None, None, NONE),  # a Cyrillic a
    (f"{P}-ats.iot.us-east-1.amazonaws。com", "invalid", None, None, None, NONE),  # an ideographic full stop
    (f"{P}-ats.iot.us-east-1.amazonaws.com\u200b", "invalid", None, None, None, NONE),  # a zero-width space
    ("iot.example.com", "custom", None, None, None, NONE),
    ("mqtt.xn--bcher-kva.example", "custom", None, None, None, NONE),
    ("mqtt.bücher.example", "invalid", None, None, None, NONE),
    ("localhost", "custom", None, None, None, NONE),
    # not host names
    ("", "invalid", None, None, None, NONE),
    (".", "invalid", None, None, None, NONE),
    (" ", "invalid", None, None, None, NONE),
    ("192.0.2.7", "invalid", None, None, None, NONE),
    ("2001:db8::7", "invalid", None, None, None, NONE),
    ("[2001:db8::7]", "invalid", None, None, None, NONE),
    (f"{P}-ats.iot.us-east-1.{COM}:8883", "invalid", None, None, None, NONE),
    (f"mqtts://{P}-ats.iot.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"{P}-ats.iot.us-east-1.{COM}/mqtt", "invalid", None, None, None, NONE),
    (f"{P}-ats..iot.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"*.iot.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"user@{P}-ats.iot.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"{P}_x-ats.iot.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"{'x' * 64}.iot.us-east-1.{COM}", "invalid", None, None, None, NONE),
    (f"{'x' * 60}.iot.us-east-1.{COM}", "invalid", None, None, None, NONE),  # its pair would not fit in a label
    (f"{'x.' * 130}{COM}", "invalid", None, None, None, NONE),
    (f"{P}-ats.iot.us-east-1.{COM}\n", "invalid", None, None, None, NONE),
]


def test_the_table_is_large_enough() -> None:
    assert len(TABLE) >= 80
    assert len({row[0] for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0][:60].encode("ascii", "backslashreplace").decode() or "empty")
def test_host(row: tuple[str, str, str | None, str | None, str | None, tuple[str, ...]]) -> None:
    host, cls, region, partition, pair, roots = row
    found = classify(host)
    assert (found.cls, found.region, found.partition, found.pair, found.roots) == (cls, region, partition, pair, roots)
    assert found.host == host
    if cls in ("custom", "invalid"):
        assert found.notes, "what cannot be used comes with the reason"


@pytest.mark.parametrize("row", [r for r in TABLE if r[1] != "invalid"], ids=lambda row: row[0][:60])
def test_case_and_trailing_dot_do_not_matter(row: tuple[str, str, str | None, str | None, str | None, tuple[str, ...]]) -> None:
    assert classify(row[0].upper() + ".") == classify(row[0])


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
AWS_LIKE = st.builds(
    lambda first, middle, region, domain: ".".join([first, *middle, region, domain]),
    LABEL | LABEL.map(lambda x: x + "-ats"),
    st.sampled_from([("iot",), ("jobs", "iot"), ("credentials", "iot"), ("iot-fips",), ("ats", "iot"), ()]),
    st.sampled_from(sorted(REGIONS)) | LABEL,
    st.sampled_from([COM, CN, EU, f"{COM}.evil.example", "amazonaws.org", f"x{COM}"]),
)
HOSTS = AWS_LIKE | st.lists(LABEL, min_size=1, max_size=6).map(".".join) | st.text(max_size=80)


@given(HOSTS)
def test_the_pair_of_the_pair_is_the_host(host: str) -> None:
    found = classify(host)
    if found.pair is not None:
        other = classify(found.pair)
        assert other.pair == found.host
        assert {found.cls, other.cls} == {"ats", "legacy"}
        assert (other.region, other.partition) == (found.region, found.partition)
        assert not set(found.roots) & set(other.roots)


@given(HOSTS)
def test_only_names_in_the_domains_of_aws_are_classed_as_aws(host: str) -> None:
    found = classify(host)
    assert found.provider in (None, *PROVIDERS)
    assert found.cls in ("custom", "invalid", *(PROVIDERS[found.provider].classes if found.provider else ()))
    if found.provider == "aws":
        assert host.lower().rstrip(".").endswith((f".{COM}", f".{CN}", f".{EU}"))
    elif found.provider is None:
        assert (found.region, found.partition, found.pair, found.roots) == (None, None, None, ())


@given(HOSTS)
def test_classifying_again_what_was_found_changes_nothing(host: str) -> None:
    found = classify(host)
    if found.cls != "invalid":
        assert classify(found.host) == found


def best_of(code: str, times: int) -> float:
    """Seconds of processor time that `code` prints, the best of several runs: other work on the machine only ever adds."""
    return min(float(subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()[-1]) for _ in range(times))


def test_it_imports_nothing_but_the_standard_library_and_its_own_folder() -> None:
    code = "import sys; before = set(sys.modules); import provisioning.trust.endpoint; print(*sorted(set(sys.modules) - before))"
    found = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    ours = {name for name in found if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in ours if not name.startswith("provisioning.trust.providers")} == {
        "provisioning", *(f"provisioning.trust{m}" for m in ("", ".endpoint", ".hostname", ".regions"))
    }  # fmt: skip


def test_the_command_answers_in_less_than_300_ms() -> None:
    # From the interpreter's first instruction to the last.
    argv = ["endpoint", f"{P}-ats.iot.us-east-1.{COM}"]
    code = f"import time; from provisioning.cli.main import run; run({argv!r}); print(time.process_time())"
    assert best_of(code, 5) < 0.3


def test_other_names_say_how_they_are_known() -> None:
    found = {r.what: r for r in related(classify(f"{P}-ats.iot.us-east-1.{COM}"))}
    assert (found["pair"].host, found["pair"].how) == (f"{P}.iot.us-east-1.{COM}", "inferred")
    assert (found["FIPS"].host, found["FIPS"].how) == (f"data.iot-fips.us-east-1.{COM}", "known")
    assert found["dual-stack"].host == "data-ats.iot.us-east-1.api.aws"
    assert {r.how for r in found.values() if r.host is None} == {"ask"} == {found["jobs"].how, found["credentials"].how}
    assert "FIPS" not in {r.what for r in related(classify(f"{P}-ats.iot.eu-west-1.{COM}"))}
    assert related(classify("mqtt.example.com")) == []
    for row in TABLE:
        for other in related(classify(row[0])):
            assert other.host is None or other.what == "dual-stack" or classify(other.host).provider == "aws"


def test_the_command_fails_for_what_is_no_endpoint(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["endpoint", f"{P}-ats.iot.us-east-1.{COM}", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)["endpoints"]
    assert {"host", "class", "region", "partition", "pair", "roots"} <= set(row)
    assert (row["class"], row["partition"], row["roots"]) == ("ats", "aws", list(ATS))
    assert run(["endpoint", "192.0.2.7", f"{P}.iot.us-east-1.{COM}"]) == 2
    assert "SNI carries names only" in capsys.readouterr().out

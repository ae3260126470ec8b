"""`pytest --pyargs provisioning.hil`: what users run on a board, its JUnit file and its page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

_QUICK = "test_the_board_says_who_it_is or test_first_update or test_soak or real"


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    files = ["--board-report", "out/board.html", "--junitxml", "board.xml", "-p", "no:cacheprovider"]
    return pytester.runpytest_subprocess("--pyargs", "provisioning.hil", *files, *options)


def test_its_page_and_its_junit_file(pytester: pytest.Pytester) -> None:
    result = run(pytester, "-k", _QUICK, "--soak", "2")
    result.assert_outcomes(passed=3)
    page = (pytester.path / "out" / "board.html").read_text("utf-8")
    [mac] = set(re.findall(r"<h2>((?:[0-9a-f]{2}:){5}[0-9a-f]{2})</h2>", page))
    assert page.count("<svg") >= 8 and "update in a soak, seconds: 2, middle" in page and "Generic ESP32 module" in page
    assert not re.findall(r"""(?:src|href)=|url\(|@import|<script""", page), "it needs nothing beside it"
    properties = [element.attrib for element in ET.parse(pytester.path / "board.xml").iter("property")]
    assert any(mac in row["value"] for row in properties if row["name"] == "board")
    assert any("first update, flash reads" in row["value"] for row in properties if row["name"] == "measure")


def test_a_failure_is_in_the_page_with_its_serial_log(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(board, measure):\n    measure('x', 1)\n    board.exec('print(\"<b>told\")')\n    assert 0")
    pytester.runpytest_inprocess("--board-report", "page.html").assert_outcomes(failed=1)
    page = (pytester.path / "page.html").read_text("utf-8")
    assert "&lt;b&gt;told" in page and "<b>told" not in page and "last events" in page and 'class="failed"' in page


@pytest.mark.long
@pytest.mark.timeout(900)
def test_all_of_it(pytester: pytest.Pytester) -> None:
    run(pytester).assert_outcomes(passed=13)

"""The page in a real browser: what it shows, live, in both colours, from a phone to a screen on the wall."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.ledger.store import Ledger
from tests.dashboard.support import HOSTILE, fill, mac_of, serving
from tests.support import browser

SIZES = ((360, 740), (1366, 768), (3840, 2160))
TOKEN = "canary-Zaunkoenig-12345"

# Every text on the page, with its contrast to the ground it stands on (WCAG 2.1, 1.4.3), the least first.
CONTRAST = """(() => {
  const parts = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const found = parts(getComputedStyle(node).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.getClientRects().length) continue;
    const [a, b] = [light(parts(getComputedStyle(node).color)), light(ground(node))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.className || node.tagName, node.textContent.slice(0, 20)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
})()"""


@pytest.fixture(scope="module")
def page() -> Iterator[browser.Browser]:
    binary = browser.program()
    if binary is None:
        pytest.skip("no Chromium is installed here")
    with browser.Browser(binary) as running:
        yield running


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("dashboard") / "ledger.sqlite"
    with Ledger.open(file) as made:
        fill(made, 160, hours=5.0)
        hostile = {"mac": mac_of(9001), "device": HOSTILE, "station": HOSTILE, "port": HOSTILE, "product": HOSTILE}
        made.append("claim", "e" * 32, hostile)
        made.append("outcome", "e" * 32, {**hostile, "outcome": "fail", "code": HOSTILE, "message": HOSTILE, "job": "flash"})
        made.append("task", "e" * 32, {"mac": mac_of(9001), "device": HOSTILE, "task": "label", "result": "failed", "message": HOSTILE})
        made.append("intent", "f" * 32, {"mac": mac_of(9002), "device": "ws-09002", "station": "line-9", "port": "COM5"})
    return file


@pytest.fixture(scope="module")
def url(ledger: Path) -> Iterator[str]:
    with serving(ledger) as running:
        yield running["url"]


def shown(page: browser.Browser, url: str, seq: int = 0) -> None:
    page.events.clear()
    page.open(url)
    page.until(f"document.documentElement.dataset.seq > {seq}")


def browser_errors(page: browser.Browser) -> list[Any]:
    """What the browser has said against the page: errors, and what the policy of its content refused."""
    page.run("1")
    return [event for event in page.events if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]


def test_every_size_and_both_colours(page: browser.Browser, url: str) -> None:
    """Nothing to scroll to the side, every text readable (contrast of at least 4.5), every number there; no word from the browser."""
    for dark in (False, True):
        for width, height in SIZES:
            page.size(width, height, dark=dark)
            shown(page, url)
            page.run("byId('question').value = 'ws-0001'; byId('search').requestSubmit()")
            page.until("byId('attempts').children.length == 10")
            where = f"{width} {'dark' if dark else 'light'}"
            assert page.run("document.documentElement.scrollWidth") <= width, where
            contrasts = page.run(CONTRAST)
            assert len(contrasts) > 80 and contrasts[0][0] >= 4.5, (where, contrasts[:3])
            assert browser_errors(page) == [], where
    assert page.run("byId('boards').textContent") == "161"
    assert page.run("byId('yield').textContent") == "79.5 %"
    states = page.run("[...document.querySelectorAll('.slot .state')].map(slot => slot.textContent)")
    assert "WRITING" in states and "PASS" in states
    assert page.run("document.querySelector('#hours .pass-part').getBoundingClientRect().width") > 0
    assert page.run("document.querySelector('#tasks b').textContent") == "label failed" and not page.run("byId('open').hidden")
    assert page.run("[...document.querySelectorAll('#codes .code')].map(code => code.textContent)")[0] == "readback"


def test_texts_from_elsewhere_stay_text(page: browser.Browser, url: str) -> None:
    page.size(1366, 768)
    shown(page, url)
    page.run(f"byId('question').value = '{mac_of(9001)}'; byId('search').requestSubmit()")
    page.until("byId('attempts').children.length == 1")
    assert page.run("document.title") == "twinroot dashboard"
    assert page.run("document.querySelectorAll('main img, main script').length") == 0
    text = page.run("document.body.textContent")
    assert text.count("<script>document.title") > 4 and "\u202e" not in text
    assert browser_errors(page) == []


def test_a_row_is_on_the_page_without_a_reload(page: browser.Browser, url: str, ledger: Path) -> None:
    shown(page, url)
    with Ledger.open(ledger) as open_ledger:
        fields = {"mac": mac_of(9002), "device": "ws-09002", "station": "line-9", "port": "COM5"}
        entry = open_ledger.append("outcome", "f" * 32, {**fields, "outcome": "pass", "code": "pass", "job": "flash"})
    page.until(f"document.documentElement.dataset.seq == {entry.seq}")
    slot = "[...document.querySelectorAll('.slot')].find(slot => slot.textContent.includes('COM5'))"
    assert page.run(f"{slot}.querySelector('.state').textContent") == "PASS"
    assert page.run("byId('link').textContent") == "live"


def test_a_token_is_asked_for_once_and_shows_nowhere(page: browser.Browser, ledger: Path) -> None:
    with serving(ledger, environment={"TWINROOT_DASHBOARD_TOKEN": TOKEN}) as running:
        page.events.clear()
        page.open(running["url"])
        for given, then in (("wrong", "document.querySelector('[role=alert]')"), (TOKEN, "document.documentElement.dataset.seq > 0")):
            page.until("document.querySelector('#token')")
            page.run(f"document.querySelector('#token').value = '{given}'; document.querySelector('form').requestSubmit()")
            page.until(then)
        assert page.run("location.href") == running["url"]
        assert TOKEN not in page.run("document.documentElement.outerHTML") and TOKEN not in page.run("document.cookie")
        asked = [event["params"]["request"]["url"] for event in page.events if event["method"] == "Network.requestWillBeSent"]
        assert asked and all(address.startswith(running["url"]) and TOKEN not in address for address in asked)
    page.until("byId('link').textContent == 'no connection'")

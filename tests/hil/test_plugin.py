"""The plugin as pytest runs it: states, markers, skips, reports, options beside those of pytest-embedded."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from provisioning.hil.options import Wanted
from provisioning.virtual import VirtualBoard
from tests.support.product_files import PRODUCT, write_identity, write_product

EMBEDDED = """
def pytest_addoption(parser):
    group = parser.getgroup("embedded")
    group.addoption("--count", default=1, type=int)
    for name in ("--port", "--target", "--baud", "--port-mac", "--port-serial-number"):
        group.addoption(name)
"""


def test_a_provisioned_board_is_provisioned_once_and_restored(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest
        from provisioning.job.verify import verify

        @pytest.mark.provisioned
        @pytest.mark.parametrize("n", range(3))
        def test_it(board, product, product_device, n):
            assert not (board.fs / "left").exists()
            (board.fs / "left").touch()
            (board.fs / "trust" / "active").unlink()

        def test_clean(board):
            assert not (board.fs / "trust").exists()

        @pytest.mark.provisioned
        def test_verified(board, product, product_device):
            assert verify(board.port, product, product_device).outcome == "pass"
    """)
    result = pytester.runpytest_inprocess("--durations=0", "-vv")
    result.assert_outcomes(passed=5)


def test_markers_skip_with_their_reason(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.mark.real_only("needs an antenna")
        def test_a(board): assert False

        @pytest.mark.virtual_only("cuts the power")
        def test_b(): pass

        @pytest.mark.destructive
        def test_c(): pass

        @pytest.mark.needs_wifi(reason="talks to a broker")
        def test_d(): pass

        def test_e(board):
            board.hardware.cut = super(type(board.hardware), board.hardware).cut
            board.power_cut(3)
    """)
    result = pytester.runpytest_inprocess("-rs")
    result.assert_outcomes(passed=3, skipped=2)
    result.stdout.fnmatch_lines(
        ["*real_only: needs an antenna*", "*The engine virtual cannot cut the power at a flash operation.*"], consecutive=False
    )
    real = pytester.runpytest_inprocess("-rs", "--port", "COM77", "-k", "test_b or test_c or test_d")
    real.assert_outcomes(skipped=3)
    real.stdout.fnmatch_lines(["*virtual_only: cuts the power*", "*destructive: *--replace*", "*needs_wifi: talks to a broker*"])


def test_a_failure_shows_the_serial_log_and_the_last_events(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_it(board):
            for n in range(80):
                board.exec(f"print('line', {n})")
            assert board.eval("6 * 7") == 41
    """)
    result = pytester.runpytest_inprocess()
    text = result.stdout.str()
    assert "serial log of virtual 24:0a:c4" in text and "line 79" in text
    events = text.partition("last events")[2]
    assert "eval 6 * 7" in events and "print('line', 79)" in events and "print('line', 29)" not in events, "the last 50"


def test_boards_side_by_side(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_two(boards):
            two = boards(2)
            assert len({board.identity["mac"] for board in two}) == 2

        def test_three(boards):
            boards(3)
    """)
    result = pytester.runpytest_inprocess("--count", "2", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*needs 3 boards, and 2 may be used*"])


@pytest.mark.parametrize("first", [True, False], ids=["it comes first", "it comes last"])
def test_beside_pytest_embedded(pytester: pytest.Pytester, first: bool) -> None:
    """Its options are used where it is installed, whichever plugin the environment loads first."""
    pytester.makepyfile(pytest_embedded=EMBEDDED, test_it="def test_it(hil_options): assert hil_options.ports == ('COM5',)")
    pytester.syspathinsert()
    order = ["-p", "pytest_embedded"] if first else []
    late = [] if first else ["-p", "pytest_embedded"]
    result = pytester.runpytest_subprocess(*order, "--port", "COM5", *late)
    result.assert_outcomes(passed=1)


def test_workers_share_the_named_ports_and_no_port_is_shared() -> None:
    asked = Wanted(ports=("A", "B", "C"))
    assert [asked.share(worker, 2).ports for worker in range(2)] == [("A", "C"), ("B",)]
    assert Wanted().share(1, 2) == Wanted()


def test_more_workers_than_boards_are_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_subprocess("--port", "COM5", "-n", "2")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*2 workers for 1 boards: a port is never shared*"])


def test_an_engine_that_is_not_there_is_a_sentence(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_inprocess("--engine", "abacus")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--engine abacus is not one of virtual, qemu, serial*"])
    monkeypatch.setenv("TWINROOT_ENGINE", "qemu")
    pytester.makepyfile("def test_it(board): pass")
    pytester.runpytest_inprocess().stdout.fnmatch_lines(["*The engine qemu needs a QEMU and a firmware image*"])


def test_an_application_of_the_product_stays_between_tests_on_a_board(pytester: pytest.Pytester) -> None:
    """A port is a board whose files are put back one by one: what the product brings is not taken off it, to be written for each test."""
    write_identity(pytester.path, "ws-0001")
    public = rsa.generate_private_key(65537, 2048).public_key()
    (pytester.path / "vendor.pub.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (pytester.path / "app.py").write_text("print('at work')\n", "utf-8")
    more = "updates: {key: vendor.pub.pem}\napp: {main: app.py}\n"
    write_product(pytester.path, PRODUCT.replace("esp32-generic", "virtual-esp32"), more)
    pytester.makepyfile("""
        import pytest

        @pytest.mark.provisioned(product="product.yaml", device="ws-0001")
        @pytest.mark.parametrize("n", range(3))
        def test_it(board, n):
            assert (board.fs / "trust" / "active").read_text() == "1"
            assert (board.fs / "main.py").read_text().startswith("# twinroot")
            assert not (board.fs / "left").exists()
            (board.fs / "left").touch()
    """)
    with VirtualBoard(paced=False, latency_ms=0) as board:
        result = pytester.runpytest_subprocess("--port", board.pty, "--replace")
    result.assert_outcomes(passed=3)

"""The UART: rates, the receive ring, turn-around, garbage when the rates differ, faults on the wire."""

from __future__ import annotations

import threading
import time

import pytest
import serial

from provisioning.virtual.sampling import matches, resample
from tests.virtual.board_io import Repl, repl

SINK = "import sys\nn = 0\nprint('go')\nwhile n < {n}:\n  n += len(sys.stdin.buffer.read({n} - n))\nprint('done')"


def timed_transfer(port: str, rate: int, size: int) -> float:
    """Seconds from the first byte to the board's "done"; the size is what the board reads, with flow control left aside."""
    link = repl(port)
    try:
        link.port.write(SINK.format(n=size).encode() + b"\x04")
        link.until(b"go\r\n")
        began = time.monotonic()
        link.port.write(b"x" * size)
        link.until(b"done", 20)
        return time.monotonic() - began
    finally:
        link.close()


def counted(board, name: str, count: int) -> None:
    """Returns when the board's counter has come so far."""
    deadline = time.monotonic() + 30
    while board.counters()[name] < count:
        assert time.monotonic() < deadline, board.counters()
        time.sleep(0.01)


def test_a_paced_transfer_takes_the_time_of_the_wire(make_virtual_board):
    """Never faster. The bytes are counted where they arrive: whether a program takes them in time is another matter, which a busy computer
    decides. How close it comes is measured in the long form, on a quiet one."""
    board = make_virtual_board(link="pty")
    size = 23040  # two seconds at 115200
    link = repl(board.pty)
    board.clear_counters()
    began = time.monotonic()
    link.port.write(b"x" * size)
    counted(board, "to_board", size)
    seconds = time.monotonic() - began
    wire = size * 10 / 115200
    assert 0.97 * wire <= seconds < 3 * wire + 5
    link.close()


@pytest.mark.long
@pytest.mark.parametrize("boards", [1, 8])
def test_eight_boards_at_once_keep_the_rate_of_the_wire(make_virtual_board, boards):
    running = [make_virtual_board(link="pty") for _ in range(boards)]
    size = 57600  # five seconds
    seconds: list[float] = []
    threads = [threading.Thread(target=lambda b=board: seconds.append(timed_transfer(b.pty, 115200, size))) for board in running]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seconds) == boards
    wire = size * 10 / 115200
    print(f"{boards} boards: {min(seconds) / wire:.4f} to {max(seconds) / wire:.4f} of the wire's time")
    assert all(one == pytest.approx(wire, rel=0.03) for one in seconds), seconds


def test_output_is_paced_too(make_virtual_board):
    board = make_virtual_board(link="pty")
    link = repl(board.pty)
    began = time.monotonic()
    link.run("import sys\nsys.stdout.buffer.write(bytes(11520))", timeout=20)
    assert 0.97 < time.monotonic() - began < 5
    link.close()


def test_the_ring_holds_259_bytes_and_drops_the_rest_silently(virtual_board):
    board = virtual_board
    link = repl(board.pty)
    link.port.write(b"import time\nprint('go')\ntime.sleep(60)\x04")  # reads nothing until it is interrupted
    link.until(b"go\r\n")
    board.clear_counters()
    link.port.write(b"y" * 400)
    counted(board, "dropped", 400 - 259)  # the chip's end counts when it comes to run
    link.port.write(b"\x03")
    assert b"KeyboardInterrupt" in link.until(b"\x04>")
    assert board.counters()["dropped"] == 400 - 259
    link.close()


def test_flow_control_of_raw_paste_never_overruns_the_ring(virtual_board):
    """256 bytes unacknowledged, as raw paste grants, fit whatever the board does meanwhile."""
    link = repl(virtual_board.pty)
    code = b"x = 1\n" * 3000
    link.port.write(b"\x05A\x01")
    window = 128
    granted = 2 * window
    link.port.timeout = 5
    assert link.port.read(5) == b"R\x01\x80\x00\x01"
    sent = 0
    while sent < len(code):
        while granted and sent < len(code):
            part = code[sent : sent + granted]
            link.port.write(part)
            sent += len(part)
            granted -= len(part)
        if sent < len(code):
            answer = link.port.read(1)
            assert answer == b"\x01", answer
            granted += window
    link.port.write(b"\x04")
    link.until(b"\x04\x04>")
    assert virtual_board.counters()["dropped"] == 0
    link.close()


def test_machine_uart_changes_the_rate_and_other_rates_are_garbage(make_virtual_board):
    board = make_virtual_board(link="pty")
    link = repl(board.pty)
    link.port.write(b"import machine\nu = machine.UART(0, baudrate=921600)\x04")
    deadline = time.monotonic() + 10
    while board.call("rate") != 921600 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert board.call("rate") == 921600
    time.sleep(0.2)
    link.port.reset_input_buffer()
    link.port.write(b"print(1)\x04")
    time.sleep(0.2)
    garbage = link.port.read(link.port.in_waiting)
    assert b"1\r\n" not in garbage
    link.port.baudrate = 921600
    link.enter()
    assert link.run("print(2)") == "2\r\n"
    link.close()
    board.reset()
    link = Repl(board.pty)
    link.enter()  # a reset brings 115200 back
    link.close()


def test_a_reset_takes_back_a_rate_that_has_not_begun(make_virtual_board):
    """The program asked for it, and what it had printed before was still on the wire when the reset came."""
    board = make_virtual_board(link="pty")
    link = repl(board.pty)
    link.port.write(b"import machine\nprint('x' * 3000)\nmachine.UART(0, baudrate=921600)\x04")
    link.until(b"xxx")
    board.reset()
    link.until(b">>> ")
    assert board.call("rate") == 115200
    link.enter()
    link.close()


def test_sampling_at_the_right_rate_gives_the_bytes_and_at_a_wrong_one_others():
    data = bytes(range(256))
    assert resample(data, 115200, 115200) == data
    assert resample(data, 115200, 116000) == data
    assert resample(data, 115200, 921600) != data
    assert len(resample(b"\x00" * 10, 115200, 9600)) < 10
    assert matches(115200, 117000)
    assert not matches(115200, 230400)


def test_changes_of_direction_are_counted_and_cost_the_latency(make_virtual_board):
    board = make_virtual_board(link="pty", latency_ms=20, paced=False)
    link = repl(board.pty)
    board.clear_counters()
    began = time.monotonic()
    for _ in range(5):
        link.run("print(1)")
    seconds = time.monotonic() - began
    turns = board.counters()["turns"]
    assert 9 <= turns <= 12
    assert 0.18 <= seconds < 5
    link.close()


def test_counters_count_bytes_each_way(virtual_board):
    link = repl(virtual_board.pty)
    virtual_board.clear_counters()
    link.run("print('abc')")
    counters = virtual_board.counters()
    assert counters["to_board"] == len("print('abc')\x04")
    assert counters["to_host"] == len("OKabc\r\n\x04\x04>")
    link.close()


# --- faults ------------------------------------------------------------------------------------------------------------


def test_a_byte_can_be_lost_doubled_or_flipped(virtual_board):
    link = repl(virtual_board.pty)
    virtual_board.inject("drop@6:in")
    assert link.run("print(123)") == "23\r\n"
    virtual_board.inject("duplicate@6:in")
    assert link.run("print(123)") == "1123\r\n"
    virtual_board.inject("flip@3:out")
    link.port.write(b"print(123)\x04")
    assert link.until(b"\x04\x04>") != b"OK123\r\n\x04\x04>"
    link.close()


def test_losses_at_random_follow_from_the_seed(make_virtual_board):
    seen = []
    for _ in range(2):
        board = make_virtual_board(paced=False, seed=11)
        link = repl(board.pty)
        link.port.write(b"import sys\nprint(sys.stdin.buffer.read(100))\x04")
        link.until(b"OK")
        board.inject("drop=0.2:in")
        link.port.write(bytes(range(32, 127)) * 3)
        seen.append(link.until(b"'\r\n").partition(b"'\r\n")[0])  # the prompt behind it may have come at the same time
        link.close()
        board.close()
    assert seen[0] == seen[1] != b""


def test_a_stuck_board_says_nothing_until_it_is_reset(virtual_board):
    link = repl(virtual_board.pty)
    virtual_board.inject("stuck")
    link.port.write(b"print(1)\x04")
    time.sleep(0.3)
    assert link.port.read(100) == b""
    virtual_board.reset()
    link.enter()
    assert link.run("print(1)") == "1\r\n"
    link.close()


def test_a_reset_in_mid_transfer(virtual_board):
    link = repl(virtual_board.pty)
    virtual_board.inject("reset@500:in")
    link.port.write(b"x = '" + b"a" * 1000)
    got = link.until(b">>> ")
    assert b"POWERON_RESET" in got
    link.close()


def test_the_power_goes_at_a_byte(virtual_board):
    link = repl(virtual_board.pty)
    virtual_board.inject("cut@5:in")
    link.port.write(b"print(1)\x04")
    assert virtual_board.wait("off", 5)
    link.close()


@pytest.mark.parametrize("link_name", ["pty", "rfc2217"])
def test_the_port_disappears_and_comes_back_under_another_name(make_virtual_board, link_name):
    board = make_virtual_board(paced=False, link=link_name)
    link = repl(board.port)
    link.run("x = 5")
    old = board.port
    board.unplug()
    with pytest.raises((OSError, serial.SerialException, AssertionError)):
        link.run("print(x)", timeout=1)
    link.close()
    board.plug()
    assert board.port != old
    link = Repl(board.port)
    link.port.write(b"print(x)\x04")  # the board kept its power and its raw REPL
    assert b"5\r\n" in link.until(b"\x04>")
    link.close()


@pytest.mark.parametrize(
    "text", ["", "melt", "drop", "drop=2", "drop=x", "cut-op", "cut-op@3", "wifi=maybe", "drop@1:up", "stuck=1", "reset=3"]
)
def test_a_fault_that_is_none_is_one_sentence(virtual_board, text):
    from provisioning.errors import InputError

    with pytest.raises(InputError) as refused:
        virtual_board.inject(text)
    assert refused.value.code == "fault"
    assert refused.value.hint
    assert "Traceback" not in refused.value.message

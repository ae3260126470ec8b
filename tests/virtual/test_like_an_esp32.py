"""Where the unix port of MicroPython and an ESP32's differ, the board is an ESP32: one board, asked in its raw REPL."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from provisioning.virtual import VirtualBoard
from tests.virtual.board_io import Repl, repl


@pytest.fixture(scope="module")
def board():
    with VirtualBoard(paced=False, clock="host") as virtual_board:
        yield virtual_board


@pytest.fixture
def link(board):
    link = repl(board.pty)
    yield link
    link.close()


def test_sys_is_the_interpreters_own(link):
    assert link.run("import sys; print(sys, sys.stdout, sys.platform, sys.implementation[4:])").split() == [
        "<module", "'sys'>", "<io.TextIOWrapper", "1>", "esp32", "('ESP32_GENERIC',", "'GIL')",
    ]  # fmt: skip
    assert "AttributeError" in link.error("import sys; sys.stdout = None")


@pytest.mark.parametrize(("module", "name"), [("time", "ticks_ms"), ("os", "listdir"), ("machine", "reset")])
def test_a_file_extends_a_built_in_module(link, module, name):
    """The way of MicroPython's reference, "Extending built-in libraries from Python": the path is emptied meanwhile."""
    source = f"import sys\n_path = sys.path\nsys.path = ()\ntry:\n from {module} import *\nfinally:\n sys.path = _path\nadded = 7\n"
    code = (
        f"import sys, os\nos_remove = os.remove\nwith open('{module}.py', 'w') as f: f.write({source!r})\n"
        f"import {module}\nprint({module}.added, hasattr({module}, '{name}'), {module}.__file__)\n"
        f"os_remove('{module}.py'); del sys.modules['{module}']\nimport {module}\nprint(hasattr({module}, 'added'))"
    )
    assert link.run(code).split() == ["7", "True", f"{module}.py", "False"]


def test_the_ends_of_lines_are_as_they_are_sent(link):
    assert link.run("if True:\r\n    x = 1\r\nelse:\r\n    x = 2\r\nprint(x, repr('''a\r\nb'''))\r\n") == "1 'a\\nb'\r\n"
    assert link.run("import sys\nsys.stdout.write('a\\r\\nb\\n')") == "a\r\r\nb\r\n"  # as on the chip: CR before each LF
    assert link.run("import sys\nsys.stdout.buffer.write(b'a\\nb')") == "a\nb"


def test_what_is_typed_is_text_and_buffer_is_bytes(link):
    link.port.write(b"import sys\nprint(repr(sys.stdin.read(3)))\nprint(sys.stdin.buffer.read(3))\x04")
    link.until(b"OK")
    link.port.write(b"a\rb" + b"c\rd")
    assert link.until(b"\x04>").split(b"\x04")[0] == b"'a\\nb'\r\nb'c\\rd'\r\n"


def test_a_running_program_of_crlf_lines_and_a_mount(board, tmp_path):
    """mpremote's own way: a file with the ends of lines that Windows writes, and a folder of this computer as the board's."""
    (tmp_path / "there.py").write_bytes(b"if True:\r\n    VALUE = 42\r\n")
    (tmp_path / "run.py").write_bytes(b"try:\r\n    print('ran')\r\nfinally:\r\n    pass\r\n")
    command = [sys.executable, "-m", "mpremote", "connect", board.pty, "run", str(tmp_path / "run.py"), "mount", str(tmp_path)]
    command += ["exec", "import there; print(there.VALUE); open('new.txt', 'w').write('from the board')"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"ran", "42"} <= set(done.stdout.split())
    assert (tmp_path / "new.txt").read_text() == "from the board"


def test_times_of_files_are_in_the_epoch_of_time(link):
    code = "import os, time\nwith open('t', 'w') as f: f.write('x')\nfound = os.stat('t')\nos.remove('t')\n"
    code += "print(all(abs(t - time.time()) < 60 for t in found[7:]))"
    assert link.run(code) == "True\r\n"


def test_memory_that_is_not_aligned_is_an_error_and_no_exception_of_the_cpu(board, link):
    resets = board.counters()["resets"]
    assert "ValueError: address 00000001 is not aligned to 2 bytes" in link.error("import machine; machine.mem16[1]")
    assert "TypeError" in link.error("import machine; machine.mem8['x']")
    assert (
        link.run("m = machine.mem32\nm[0x3ff44004] = 0x01020304\nprint(machine.mem8[0x3ff44005], machine.mem16[0x3ff44006])") == "3 258\r\n"
    )
    assert board.counters()["resets"] == resets


def test_errors_of_the_esp_idf_have_number_and_name(link):
    ask = "import esp32\ntry: {}\nexcept OSError as e: print(e.args)"
    for call, args in (
        ("esp32.NVS('a').get_i32('none')", (-4354, "ESP_ERR_NVS_NOT_FOUND")),
        ("esp32.NVS('a').erase_key('none')", (-4354, "ESP_ERR_NVS_NOT_FOUND")),
        ("esp32.NVS('a' * 16)", (-4361, "ESP_ERR_NVS_KEY_TOO_LONG")),
        ("n = esp32.NVS('a'); n.set_blob('b', 'text'); n.get_blob('b', bytearray(3))", (-4364, "ESP_ERR_NVS_INVALID_LENGTH")),
        ("esp32.Partition(esp32.Partition.RUNNING).set_boot()", (-261, "ESP_ERR_NOT_FOUND")),
        ("esp32.Partition.find(esp32.Partition.TYPE_DATA)[0].set_boot()", (-5379, "ESP_ERR_OTA_VALIDATE_FAILED")),
    ):
        assert link.run(ask.format(call)) == f"{args!r}\r\n", call
    assert link.run("n = esp32.NVS('a'); n.set_i32('k', -5); print(n.get_i32('k')); n.set_blob('k', b'x')\n" + "") == "-5\r\n"
    assert link.run(ask.format("n.get_i32('k')")) == "(-4354, 'ESP_ERR_NVS_NOT_FOUND')\r\n"  # a key has one value
    assert (
        link.run("print([len(esp32.idf_heap_info(c)) > 2 for c in (esp32.HEAP_DATA, esp32.HEAP_EXEC)], esp32.idf_heap_info(-1))")
        == "[True, True] []\r\n"
    )


def test_pwm_is_set_up_and_changed_in_every_unit(link):
    code = "import machine\np = machine.PWM(machine.Pin(2))\np.init(freq=1000, duty_u16=32768)\n"
    code += "print(p.freq(), p.duty())\np.duty_ns(250000)\nprint(p.duty_u16())"
    assert link.run(code).split() == ["1000", "512", "16383"]


def test_one_thread_runs_at_a_time(link):
    """What several threads do to one list and one number stays whole: each step of a program is one step."""
    code = """
import _thread, time
items, done = [], []
def work(n):
    global items
    for i in range(300):
        items.append(n); items.pop(0) if len(items) > 40 else None
    done.append(n)
for n in range(4): _thread.start_new_thread(work, (n,))
while len(done) < 4: pass
print(sorted(done), len(items))
"""
    assert link.run(code) == "[0, 1, 2, 3] 40\r\n"


def test_a_timer_runs_its_callback_while_the_program_sleeps_and_at_the_prompt(board, link):
    asleep = "import machine, time\nhit = []\nt = machine.Timer(0)\nbegan = time.ticks_ms()\n"
    asleep += "t.init(mode=0, period=50, callback=lambda t: hit.append(time.ticks_diff(time.ticks_ms(), began)))\n"
    asleep += "time.sleep(1.0)\nprint(hit[0] < 900)"
    assert link.run(asleep) == "True\r\n"
    link.port.write(b"t.init(mode=0, period=50, callback=lambda t: print('rang'))\x04")
    link.until(b"rang\r\n", 5)


def test_the_repl_is_interrupted_while_threads_run(link):
    link.run("import _thread, time\nrun = True\ndef spin():\n while run: pass\n_thread.start_new_thread(spin, ())")
    # The raw prompt says OK first and lets itself be interrupted afterwards; before that 0x03 is a byte like any other.
    link.port.write(b"print('on')\nwhile True: pass\x04")
    link.until(b"on\r\n")
    began = time.monotonic()
    link.port.write(b"\x03")
    assert b"KeyboardInterrupt" in link.until(b"\x04>", 10)
    assert time.monotonic() - began < 5
    assert link.run("run = False\nprint(1)") == "1\r\n"


def test_a_soft_reset_ends_threads_that_wait_for_their_turn(board):
    link: Repl = repl(board.pty)
    link.run("import _thread, time\ndef spin():\n while True: pass\nfor i in range(3): _thread.start_new_thread(spin, ())")
    link.port.write(b"\x04")
    link.until(b"raw REPL; CTRL-B to exit\r\n>", 10)
    assert link.run("print('again')") == "again\r\n"
    link.close()

"""MicroPython on the board: REPL modes, resets, interrupts, files, clock, as on an ESP32."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from tests.virtual.board_io import repl

BANNER = b'Generic ESP32 module with ESP32\r\nType "help()" for more information.\r\n>>> '


@pytest.fixture
def board(virtual_board):
    return virtual_board


@pytest.fixture
def link(board):
    link = repl(board.pty)
    yield link
    link.close()


def test_soft_reset_in_raw_mode_answers_as_on_hardware_and_stays_raw(link):
    link.port.write(b"\x04")
    got = link.until(b"raw REPL; CTRL-B to exit\r\n>")
    assert got == b"OK\r\nMPY: soft reboot\r\nraw REPL; CTRL-B to exit\r\n>"


def test_soft_reset_in_the_friendly_repl_runs_boot_and_main(link):
    link.run("open('boot.py','w').write('print(\"boot\")'); open('main.py','w').write('print(\"main\")')")
    link.port.write(b"\x02")
    link.until(BANNER)
    link.port.write(b"\x04")
    got = link.until(BANNER)
    assert b"MPY: soft reboot\r\nboot\r\nmain\r\nMicroPython " in got


def test_raw_mode_skips_main_but_not_boot(link):
    link.run("open('boot.py','w').write('print(\"boot\")'); open('main.py','w').write('print(\"main\")')")
    link.port.write(b"\x04")
    got = link.until(b"raw REPL; CTRL-B to exit\r\n>")
    assert b"boot\r\n" in got
    assert b"main" not in got


def test_machine_reset_prints_the_boot_text_and_leaves_raw_mode(link):
    link.port.write(b"import machine; machine.reset()\x04")
    got = link.until(BANNER)
    assert b"rst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)" in got
    link.enter()
    assert link.run("import machine; print(machine.reset_cause())") == "2\r\n"


def test_a_watchdog_really_resets(link):
    link.port.write(b"import machine, time\nmachine.WDT(timeout=50)\ntime.sleep(5)\x04")
    assert b"TG0WDT_SYS_RESET" in link.until(BANNER)


def test_deep_sleep_wakes_with_its_cause(link):
    link.port.write(b"import machine; machine.deepsleep(30)\x04")
    assert b"DEEPSLEEP_RESET" in link.until(BANNER)
    link.enter()
    assert link.run("import machine; print(machine.reset_cause(), machine.wake_reason())") == "4 4\r\n"


def test_a_crash_of_the_program_resets_the_chip(link):
    link.port.write(b"import uctypes; uctypes.bytes_at(16, 1)\x04")
    got = link.until(BANNER)
    assert b"Guru Meditation Error" in got


def test_control_c_interrupts_and_a_late_one_does_no_harm(link):
    link.port.write(b"print('go')\nwhile True: pass\x04")
    link.until(b"go\r\n")
    link.port.write(b"\x03")
    assert b"KeyboardInterrupt" in link.until(b"\x04>")
    for _ in range(20):
        link.port.write(b"\x03")
    assert link.run("print(1)") == "1\r\n"


def test_control_c_in_the_middle_of_file_work_leaves_the_file_system_whole(link):
    # An interrupt counts from when the program runs; "OK" comes before it is compiled.
    writing = "print('go')\ni = 0\nwhile True:\n  f = open('f%d' % (i % 4), 'w'); f.write('x' * 3000); f.close(); i += 1"
    for _ in range(15):
        link.port.write(writing.encode() + b"\x04")
        link.until(b"go\r\n")
        link.port.write(b"\x03")
        answer = link.until(b"\x04>")
        assert b"KeyboardInterrupt" in answer
        assert b"OSError" not in answer
        assert link.run("import os\nfor n in os.listdir(): open(n).read()\nprint('ok')") == "ok\r\n"


def test_kbd_intr_off_makes_0x03_an_ordinary_byte(link):
    link.port.write(
        b"import micropython, sys\nmicropython.kbd_intr(-1)\nprint('go')\n"
        b"d = sys.stdin.buffer.read(5)\nmicropython.kbd_intr(3)\nprint(d)\x04"
    )
    link.until(b"go\r\n")
    link.port.write(b"a\x03b\x03\x04")
    assert b"b'a\\x03b\\x03\\x04'" in link.until(b"\x04>")


def test_print_sends_cr_lf_and_the_buffer_is_raw(link):
    code = "import sys\nprint('a')\nsys.stdout.write('b\\n')\nsys.stdout.buffer.write(bytes([10, 13, 10]))"
    assert link.run(code).startswith("a\r\nb\r\n\n\r\n")


def test_binary_output_is_untouched(link):
    link.port.write(b"import sys\nd = bytes(range(256)) * 20\nn = sys.stdout.buffer.write(d)\x04")
    got = link.until(b"\x04\x04>")
    assert got == b"OK" + bytes(range(256)) * 20 + b"\x04\x04>"


def test_names_and_identity(board, link):
    assert link.run("import sys, os; print(sys.platform, os.uname().machine)") == "esp32 Generic ESP32 module with ESP32\r\n"
    mac = link.run("import machine; print(machine.unique_id().hex())").strip()
    assert mac == board.mac.replace(":", "")


def test_the_clock_starts_in_2000_and_survives_a_soft_reset_only(board, link):
    assert link.run("import time; print(time.localtime()[:3], time.gmtime(0)[:3])") == "(2000, 1, 1) (2000, 1, 1)\r\n"
    link.run("import machine; machine.RTC().datetime((2026, 3, 4, 0, 5, 6, 7, 0))")
    link.port.write(b"\x04")
    link.until(b"raw REPL; CTRL-B to exit\r\n>")
    assert link.run("import time; print(time.localtime()[:5], time.mktime((2000,1,2,0,0,0,0,0)))") == "(2026, 3, 4, 5, 6) 86400\r\n"
    board.power_off()
    board.power_on()
    link.enter()
    assert link.run("import time; print(time.localtime()[0])") == "2000\r\n"


def test_certificate_checks_see_the_clock_of_the_board(link):
    """mbedTLS asks libc, not `time`: the same RTC must answer."""
    assert link.run("import time; now = time.time.__globals__['_now']; print(int(time.time()) == int(now()) - 946684800)") == "True\r\n"


def test_ntptime_asks_a_server_and_sets_the_clock(link):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(10)

    def answer():
        query, peer = server.recvfrom(64)
        assert len(query) == 48
        server.sendto(b"\x24" + bytes(39) + struct.pack("!I", 3155673600 + 700_000_000) + bytes(4), peer)

    thread = threading.Thread(target=answer)
    thread.start()
    host = f"127.0.0.1:{server.getsockname()[1]}"
    code = f"import ntptime, time\nntptime.host = '{host}'\nntptime.settime()\nprint(time.time() - 700000000 in (0, 1))"
    assert link.run(code) == "True\r\n"
    thread.join()
    server.close()


def test_names_are_resolved_by_the_host(link):
    assert link.run("import socket; print(socket.getaddrinfo('localhost', 80)[0][0])").strip()
    assert "OSError" in link.error("import socket; socket.getaddrinfo('no-such-host.invalid', 80)", timeout=30)


def test_station_connects_and_the_bench_can_refuse(board, link):
    connect = (
        "import network\nw = network.WLAN(network.STA_IF); w.active(True); w.connect('home', 'secret')\nprint(w.isconnected(), w.status())"
    )
    assert link.run(connect) == "True 1010\r\n"
    board.inject("wifi=wrong-password")
    assert link.run(connect) == "False 202\r\n"
    board.inject("wifi=no-ap")
    assert link.run(connect) == "False 201\r\n"
    board.inject("wifi=down")
    assert "OSError" in link.error("import socket; socket.getaddrinfo('127.0.0.1', 80)")


def test_files_survive_power_off(board, link):
    link.run("f = open('kept.txt', 'w'); f.write('hello'); f.close()")
    board.power_off()
    board.power_on()
    link.enter()
    assert link.run("print(open('kept.txt').read())") == "hello\r\n"


def test_sigkill_is_a_power_cut_and_the_state_remains(make_virtual_board, tmp_path):
    board = make_virtual_board(state=tmp_path / "state", paced=False)
    link = repl(board.pty)
    link.run("f = open('kept.txt', 'w'); f.write('hello'); f.close()")
    link.close()
    mac, port, pty = board.mac, board.rfc2217, board.pty
    board.kill()
    board.restart()
    assert (board.mac, board.rfc2217, board.pty) == (mac, port, pty)
    link = repl(board.pty)
    assert link.run("print(open('kept.txt').read())") == "hello\r\n"
    link.close()


def test_ctrl_d_at_the_prompt_prints_what_hardware_prints(board):
    # From the raw REPL to the friendly one: the start's own banner has passed by then.
    link = repl(board.pty)
    link.port.write(b"\x02")
    link.until(BANNER)
    link.port.write(b"\x04")
    assert link.until(BANNER).startswith(b"\r\nMPY: soft reboot\r\nMicroPython ")
    link.close()


def test_threads_run(link):
    assert link.run("import _thread, time\nr = []\n_thread.start_new_thread(r.append, (1,))\ntime.sleep_ms(100)\nprint(r)") == "[1]\r\n"


def test_nvs_keeps_values_over_a_reset(link):
    link.run("import esp32\nn = esp32.NVS('app'); n.set_i32('count', 7); n.set_blob('b', b'xyz'); n.commit()")
    link.port.write(b"\x04")
    link.until(b"raw REPL; CTRL-B to exit\r\n>")
    assert (
        link.run("import esp32\nn = esp32.NVS('app'); b = bytearray(3); n.get_blob('b', b); print(n.get_i32('count'), b)")
        == "7 bytearray(b'xyz')\r\n"
    )


def test_a_small_heap_runs_out(make_virtual_board):
    board = make_virtual_board(paced=False, heap="60K")
    link = repl(board.pty)
    assert "MemoryError" in link.error("a = bytearray(50000)")
    link.close()

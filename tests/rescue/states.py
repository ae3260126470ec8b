"""Programs that hold a board, as people have written them: what each leaves behind for whoever wants its prompt."""

from __future__ import annotations

from typing import NamedTuple


class State(NamedTuple):
    """`files`: path -> source, put on an otherwise empty board."""

    name: str
    files: dict[str, str]


RERUN = """import asyncio

async def blink():
    while True:
        await asyncio.sleep_ms(20)

while True:
    try:
        asyncio.run(blink())
    except KeyboardInterrupt:
        print('restarting')
    finally:
        asyncio.new_event_loop()
"""
BARE = """import time
while True:
    try:
        time.sleep_ms(20)
    except:
        pass
"""
DEAF = """import micropython, time
micropython.kbd_intr(-1)
while True:
    time.sleep_ms(50)
"""
NO_TERMINAL = """import micropython, os, time
micropython.kbd_intr(-1)
os.dupterm(None)
while True:
    time.sleep_ms(50)
"""
SLOW_RATE = """import machine, time
machine.UART(0, baudrate=9600)
while True:
    time.sleep_ms(50)
"""
WATCHED = """import machine, time
dog = machine.WDT(timeout=1000)
while True:
    dog.feed()
    time.sleep_ms(50)
"""
ASLEEP = """import machine
machine.deepsleep(2000)
"""
ENDLESS = """import time
while True:
    time.sleep_ms(50)
"""
FULL_HEAP = """import gc, time
kept = []
gc.collect()
while gc.mem_free() > 6500:
    kept.append(bytearray(min(2048, gc.mem_free() - 6400)))
while True:
    time.sleep_ms(50)
"""

STATES = (
    State("asyncio-rerun", {"/main.py": RERUN}),
    State("bare-except", {"/main.py": BARE}),
    State("kbd-intr", {"/main.py": DEAF}),
    State("dupterm", {"/main.py": NO_TERMINAL}),
    State("uart-9600", {"/main.py": SLOW_RATE}),
    State("watchdog", {"/main.py": WATCHED}),
    State("deepsleep", {"/main.py": ASLEEP}),
    State("endless-boot", {"/boot.py": ENDLESS, "/main.py": ENDLESS}),
    State("deaf-boot", {"/boot.py": DEAF, "/main.py": ENDLESS}),
    State("stubborn-boot", {"/boot.py": BARE, "/main.py": ENDLESS}),
    State("full-heap", {"/main.py": FULL_HEAP}),
)

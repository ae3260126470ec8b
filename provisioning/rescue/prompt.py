"""What a board at its raw prompt is asked, and told, before its own MicroPython renames its programs."""

from __future__ import annotations

from provisioning.link.repl import RawRepl

LITTLE = 24 * 1024  # bytes of free heap below which nothing useful runs beside the program that holds it
_LONG_WATCHDOG = 600_000  # ms; a dog that was let loose cannot be tied up again, only given more patience
_HEAP = "import gc\ngc.collect()\nprint(gc.mem_free())"
_WATCHED = "import umachine\nprint(umachine.reset_cause()==umachine.WDT_RESET)"
_PATIENT = f"import umachine\numachine.WDT(timeout={_LONG_WATCHDOG})"
_RESTART = "import umachine\numachine.reset()"


def calm(repl: RawRepl) -> bool:
    """Whether a watchdog reset the board before: it gets a longer time, or it would bite again while files are renamed."""
    if repl.run(_WATCHED).strip() != b"True":
        return False
    repl.run(_PATIENT)
    return True


def heap(repl: RawRepl) -> int:
    """Bytes that are free on the board, everything that nobody needs collected."""
    return int(repl.run(_HEAP))


def restart(repl: RawRepl) -> None:
    """Reset the chip: a watchdog, a mount and a rate that were left do not outlive that. Does not wait for it."""
    repl.run(_RESTART, follow=False)

"""`twinroot demo`: tells the story, one line a step, and what a user with a real board would type."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from provisioning.cli._invoked import name
from provisioning.cli._options import PATH
from provisioning.cli._output import emit, mode, say, show
from provisioning.errors import InputError, StationError, TwinrootError

# What a person types then; each runs from any folder, as it stands.
REAL_BOARD = (
    ("twinroot init my-station", "a product to change, with identities"),
    ("twinroot check my-station/product.yaml --device ws-0001", "every mistake, before a board is touched"),
    ("twinroot rehearse update my-station/product.yaml --device ws-0001 --port auto", "the same on a board that is not there"),
    ("twinroot flash my-station/product.yaml --device ws-0001 --port auto", "a blank board, from firmware to PASS"),
    ("twinroot update my-station/product.yaml --device ws-0001 --port auto", "a board that runs MicroPython"),
    ("twinroot verify my-station/product.yaml --device ws-0001 --port auto --connect", "hashes read back, a real handshake"),
)


@click.command()
@click.option("--state", type=PATH, help="Keep the product, the flash image and the test roots in this folder.")
@click.option("--broker", default="auto", show_default=True, help="auto, amqtt (embedded) or mosquitto.")
def command(state: Path | None, broker: str) -> int:
    """The whole product without hardware: YAML in, a device that fails over between two roots and comes home out.

    A virtual ESP32 that runs a real MicroPython, a stand-in for AWS IoT with two endpoints, and the same code that serves real boards.
    """
    if state is not None and state.exists() and (not state.is_dir() or any(state.iterdir())):
        raise InputError("demo-state", f"{state} is not an empty folder.", "Name a new one: the demo begins with a blank board.")
    with tempfile.TemporaryDirectory(prefix="twinroot-demo-") as temporary:
        return _tell((state or Path(temporary)).absolute(), broker)


def _tell(folder: Path, broker: str) -> int:
    from provisioning.demo.story import Step, Story

    def line(step: Step) -> None:
        # In the JSON mode standard output is for the one object at the end.
        text = f"{step.at:6.2f} s  {step.text}"
        say(text) if mode.json else show(text)

    story = Story(folder, line, broker)
    failure: TwinrootError | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        story.run()
    except TwinrootError as error:
        failure = error
    except OSError as error:
        failure = StationError(
            "demo-state", f"The demo cannot use {folder}: {error.strerror or error}.", "Name another folder with --state."
        )
    found = {
        "outcome": failure.outcome if failure else "pass",
        "code": failure.code if failure else "pass",
        "message": failure.message if failure else "The device published over both routes, failed over and came home.",
        "hint": failure.hint if failure else "",
        "seconds": story.seconds,
        "steps": [{"name": step.name, "at": step.at, "text": step.text} for step in story.steps],
        "evidence": story.evidence,
        "next": [words for words, _ in _real_board()],
    }
    if failure:
        emit(found, f"FAIL  after {story.seconds:.1f} s: {failure.message}")
        if failure.hint:
            say(f"  next: {failure.hint}")
        return failure.exit_code
    emit(found, lambda: _ending(story.seconds))
    return 0


def _ending(seconds: float) -> str:
    commands = _real_board()
    width = max(len(words) for words, _ in commands)
    lines = [f"PASS  in {seconds:.1f} s", "", "With a real board:"]
    return "\n".join(lines + [f"  {words:<{width}}  # {what}" for words, what in commands])


def _real_board() -> list[tuple[str, str]]:
    return [(words.replace("twinroot", name(), 1), what) for words, what in REAL_BOARD]

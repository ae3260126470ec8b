"""A board as text for people, and where its firmware is."""

from __future__ import annotations

from provisioning.config.board_type import BoardType
from provisioning.config.text_file import is_file


def firmware_state(board: BoardType) -> str:
    """One sentence: where the firmware image comes from, or what is missing."""
    firmware = board.firmware
    if board.firmware_file:
        there = "" if is_file(board.firmware_file) else ", which is not there"
        return f"MicroPython {firmware.version} from {board.firmware_file}{there}"
    if firmware.url:
        return f"MicroPython {firmware.version}, downloaded once from {firmware.url}"
    page = f" from {firmware.page}" if firmware.page else ""
    return (
        f"no image named: get one{page} and write `firmware: {{file: …, sha256: …, version: …}}` into a board file of your own"
        f" that has `extends: {board.name}`; boards that run MicroPython already need none"
    )


def _security(board: BoardType) -> str:
    asked = board.security
    parts = [f"flash encryption in {asked.flash_encryption} mode"] if asked.flash_encryption else []
    parts += ["a key for NVS encryption"] if asked.nvs_key else []
    return f"{' and '.join(parts)}, burned only by `flash --burn-efuses`" if parts else "nothing is burned"


def describe(board: BoardType, state: str) -> str:
    """The lines of `twinroot boards show`."""
    end = board.partition.offset + board.partition.size
    rows = (
        ("board", f"{board.name}: {board.description}"),
        ("file", str(board.source)),
        ("extends", board.extends or "-"),
        ("chip", f"{board.chip}, revision {board.min_revision} or later"),
        ("flash", board.flash_size),
        ("usb", " ".join(board.usb) + (" (the chip's own USB)" if board.native_usb else "")),
        ("baud", f"prompt {board.baud.repl}, ROM loader first {board.baud.rom or board.baud.max}, at most {board.baud.max}"),
        ("firmware", f"at 0x{board.firmware.offset:x}: {state}"),
        ("partition", f"{board.partition.name} 0x{board.partition.offset:x}-0x{end:x}, {board.partition.size // 1024} KB"),
        ("slots", f"2 of {board.slots.size // 1024} KB for firmware" if board.slots else "none: the firmware is not updated over the air"),
        ("filesystem", f"{board.filesystem} {board.littlefs.version}, blocks of {board.littlefs.block_size} bytes"),
        ("heap", f"{board.heap.python // 1024} KB for Python at boot, {board.heap.tls_session // 1024} KB per TLS session outside it"),
        ("reset", f"{board.reset.before}, {board.reset.after}, lines {board.reset.lines}"),
        ("security", _security(board)),
    )
    return "\n".join(f"{name:<11}{text}" for name, text in rows)

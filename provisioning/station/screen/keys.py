"""What a key means. Where labels are scanned every character belongs to a code, because a scanner types them; there a letter and Enter is a
key, and so are keys that no scanner types."""

from __future__ import annotations

ALWAYS = {
    "ctrl+c": "stop",
    "ctrl+q": "quit",
    "f1": "why",
    "f2": "why",
    "f5": "retry",
    "f6": "next",
    "f9": "settings",
    "escape": "back",
    "left": "choose left",
    "right": "choose right",
    "up": "choose up",
    "down": "choose down",
}
LEAVING = ("ctrl+c", "ctrl+q")  # heard in front of any page
LETTERS = {"q": "quit", "r": "retry", "d": "why", "n": "next", "s": "settings"}
_LONGEST = 200  # characters of a code; a scanner that is stuck does not fill the memory


def read(key: str, character: str | None, code: str, scans: bool) -> tuple[str, str]:
    """What is to be done (empty for nothing), and the code as it is typed so far."""
    if key == "enter":
        typed = code.strip()
        if not scans or not typed:
            return ("retry" if scans and not typed else ""), ""
        return LETTERS.get(typed.lower(), f"scan {typed}"), ""
    if key == "backspace":
        return "", code[:-1]
    if key in ALWAYS:
        return ALWAYS[key], "" if key == "escape" else code
    if character is None or not character.isprintable():
        return "", code
    if scans:
        return "", (code + character)[:_LONGEST]
    if character.isdigit() and character != "0":
        return f"choose {character}", ""
    return LETTERS.get(character.lower(), ""), ""

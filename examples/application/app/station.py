"""A weather station's logic, which main.py runs: a sensor is read, spikes are dropped, the calibration is kept in flash."""

import json
import os

CALIBRATION = "/calibration.json"
DEFAULT = {"gain": 0.1, "offset": -40.0}  # degrees Celsius of a count, and at count 0
WINDOW = 5


def load():
    """The calibration; the default where there is none, or one that is no calibration."""
    try:
        with open(CALIBRATION) as file:
            found = json.load(file)
        return {"gain": float(found["gain"]), "offset": float(found["offset"])}
    except (OSError, ValueError, KeyError, TypeError):
        return dict(DEFAULT)


def save(calibration):
    """Under another name first: whenever the power goes, one whole calibration is there."""
    with open(CALIBRATION + ".new", "w") as file:
        json.dump(calibration, file)
    os.rename(CALIBRATION + ".new", CALIBRATION)


def degrees(count, calibration):
    """The temperature for a count of the converter. ValueError for one that it cannot give."""
    if not 0 <= count < 4096:
        raise ValueError("count %d is out of range" % count)
    return count * calibration["gain"] + calibration["offset"]


class Median:
    """The middle one of the last readings: a spike is never it."""

    def __init__(self):
        self._last = []

    def __call__(self, value):
        if len(self._last) == WINDOW:
            self._last.pop(0)
        self._last.append(value)
        return sorted(self._last)[len(self._last) // 2]


def run(sensor, count, wait):
    """`count` readings of `sensor()`, printed as they come; `wait()` between them. A sensor that fails is said, and read again."""
    calibration = load()
    median = Median()
    for _ in range(count):
        try:
            print("reading %.1f" % median(degrees(sensor(), calibration)))
        except (OSError, ValueError) as error:
            print("sensor:", error)
        wait()

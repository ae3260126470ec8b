"""Ten tests of an application on a board: virtual by default, `--port PORT` for a real one. docs/hil.md has the rest."""

import pytest

from provisioning.job.verify import verify

# --- functions of this file that run on the board: what they import is the board's ---------------------------------


def temperature(count):
    import station

    return station.degrees(count, station.load())


def medians(values):
    import station

    median = station.Median()
    return [median(value) for value in values]


def calibrate(gain, offset):
    import station

    station.save({"gain": gain, "offset": offset})
    return station.load()


def calibration():
    import station

    return station.load()


def calibrate_for_ever():
    import station

    n = 0
    while True:
        station.save({"gain": 0.5, "offset": n})
        n += 1


def readings(counts):
    import station

    left = list(counts)

    def sensor():
        count = left.pop(0)
        if count is None:
            raise OSError(116)
        return count

    station.run(sensor, len(counts), lambda: None)


# --- tests ---------------------------------------------------------------------------------------------------------


def test_a_count_becomes_degrees(station):
    assert station.call(temperature, 615) == pytest.approx(21.5, abs=0.01)


def test_a_count_that_no_converter_gives_is_refused(station):
    with pytest.raises(ValueError, match="4096 is out of range"):
        station.call(temperature, 4096)


def test_a_spike_is_dropped(station):
    assert station.call(medians, [20, 21, 999, 20, 21]) == [20, 21, 21, 21, 21]


def test_the_calibration_survives_a_restart(station):
    assert station.call(calibrate, 0.25, -10.0) == {"gain": 0.25, "offset": -10.0}
    station.reset()
    assert station.call(calibration) == {"gain": 0.25, "offset": -10.0}


def test_a_damaged_calibration_is_none(station):
    for text in ("", "{", "[]", '{"gain": "much"}', '{"gain": 1}'):
        (station.fs / "calibration.json").write_text(text)
        assert station.call(calibration) == {"gain": 0.1, "offset": -40.0}


@pytest.mark.virtual_only("a person would have to pull the plug")
def test_the_calibration_is_whole_whenever_the_power_goes(station):
    station.call(calibrate, 0.5, 0)
    for _ in range(3):
        station.start(calibrate_for_ever)
        station.power_cut()
        assert station.call(calibration)["gain"] == 0.5


def test_a_sensor_that_fails_is_said_and_read_again(station):
    station.start(readings, [500, None, 520])
    station.expect("reading 10.0")
    station.expect("sensor: .*116|sensor: .*ETIMEDOUT")
    station.expect("reading 12.0")


def test_the_program_starts_with_the_board(station):
    (station.fs / "main.py").write_text("import station\nstation.run(lambda: 615, 2, lambda: None)\n")
    station.reset()
    station.expect("reading 21.5", timeout=60)


def test_a_long_run_takes_no_heap(station):
    station.call(readings, [600] * 50)
    before = station.heap.free
    station.call(readings, [600] * 50)
    assert before - station.heap.free < 1000


@pytest.mark.provisioned
def test_a_provisioned_board_keeps_the_application(station, product, product_device):
    report = verify(station.port, product, product_device)
    assert report.outcome == "pass", report.message
    assert station.call(temperature, 615) == pytest.approx(21.5, abs=0.01)

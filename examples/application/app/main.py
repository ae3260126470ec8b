# The device's program: the converter at pin 34, a reading a second.
import time

import machine
import station

adc = machine.ADC(machine.Pin(34)) if hasattr(machine, "ADC") else None
station.run(lambda: adc.read_u16() >> 4, 1000000, lambda: time.sleep(1))

"""`twinroot station` on a terminal: slots that start by themselves, a scanner, and a screen that is read from two metres.

`engine.py` decides, from events alone; `hub.py` runs the boards, `watcher.py` looks what is plugged in, `screen/` shows.
"""

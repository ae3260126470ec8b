"""The acceptance of a board: what twinroot promises, shown on the board that the options name.

pytest --pyargs provisioning.hil --port /dev/ttyUSB0 --junitxml=board.xml --board-report=board.html
"""

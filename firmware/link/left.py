"""What a program that was just interrupted has left: bytes of free heap, and whether its watchdog had bitten."""

import gc, umachine

gc.collect()
print(gc.mem_free(), umachine.reset_cause() == umachine.WDT_RESET)

# mypy: ignore-errors
# ruff: noqa
# The first start on an empty file-system partition: format it and write boot.py. Never formats what is not blank.
import vfs
from flashbdev import bdev


def check_bootsec():
    buf = bytearray(bdev.ioctl(5, 0))
    bdev.readblocks(0, buf)
    if buf == b"\xff" * len(buf):
        return True
    fs_corrupted()


def fs_corrupted():
    import time
    import _hardware

    _hardware.release()
    while True:
        print(
            "The filesystem appears to be corrupted: it neither mounts nor is it blank.\n"
            "Make a flash snapshot if its data matters, then erase the flash and write the firmware again."
        )
        time.sleep(3)


def setup():
    check_bootsec()
    print("Performing initial setup")
    kind = vfs.VfsFat if bdev.info()[4] == "ffat" else vfs.VfsLfs2
    kind.mkfs(bdev)
    fs = kind(bdev)
    vfs.mount(fs, "/")
    with open("boot.py", "w") as f:
        f.write("# This file is executed on every boot (including wake-boot from deepsleep)\n")
    return fs

# mypy: ignore-errors
# ruff: noqa
# Runs before any code of the user: turns the unix port's world into an ESP32's, then mounts the file system.
# The host's file system is unmounted already; /rom holds these modules and goes before the user sees anything.
import sys
import gc

_REPLACED = ("sys", "vfs")
# As on hardware, each import of these looks for a file of that name first, and only the u names do not: what that reads is paid for.
_EXTENSIBLE = ("os", "time", "machine", "platform", "socket")
_FROZEN = ("esp", "esp32", "network", "ntptime", "flashbdev", "umqtt.simple", "umqtt.robust")


def _modules():
    import _hardware, json

    board = json.loads(_hardware.call(_hardware.IDENTITY, want=True))
    import _sys

    _sys.setup(board)
    modules = sys.modules
    for name in _REPLACED:
        modules[name] = modules["u" + name] = __import__("_" + name)
    for name in _EXTENSIBLE:
        module = modules["u" + name] = __import__("_" + name)
        _hardware.extend(name, module)
    for name in _FROZEN:
        __import__(name)
    return modules


def _mount(modules):
    import vfs
    from flashbdev import bdev
    import inisetup

    vfs.umount("/rom")
    sys.path.remove("/rom")
    for name in ("_start", "inisetup", "micropython_run"):
        modules.pop(name, None)
    try:
        if bdev:
            vfs.mount(bdev, "/")
    except OSError:
        inisetup.setup()


_argv = sys.argv
_mount(_modules())
del _argv[:]
gc.collect()

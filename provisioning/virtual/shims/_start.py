# mypy: ignore-errors
# ruff: noqa
# Runs before any code of the user: turns the unix port's world into an ESP32's, then mounts the file system.
# The host's file system is unmounted already; /rom holds these modules and goes before the user sees anything.
import sys
import gc

# Built-in modules that stay what they are and get other contents. As on hardware, each import of the first five looks for a file of that
# name first, and only the u names do not: what that reads is paid for.
_FILLED = ("os", "time", "machine", "platform", "socket", "vfs")
_ABSENT = ("termios",)  # of the unix port
_FROZEN = ("esp", "esp32", "network", "ntptime", "flashbdev", "umqtt.simple", "umqtt.robust")


def _modules():
    import _hardware, _sys, json

    _sys.setup(json.loads(_hardware.call(_hardware.IDENTITY, want=True)))
    modules = sys.modules
    for name in _FILLED:
        module = __import__(name if name == "vfs" else "u" + name)
        _hardware.fill(module, __import__("_" + name))
    for name in _ABSENT:
        _hardware.hide(name)
    for name in _FROZEN:
        __import__(name)
    for name in ("_sys", "_pins", "_uart"):
        modules.pop(name)
    for name in _FILLED:
        modules.pop("_" + name)
    for module in modules.values():
        module.__dict__.pop("__file__", None)
    for name in ("_files", "_micropython"):
        __import__(name).setup()
        modules.pop(name)
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

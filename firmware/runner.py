# twinroot: runs main.py in the folder of the set in use; see "The application" in docs/device.md
import twinroot

try:
    _begun = twinroot.app.begin()
except Exception:  # the package of that set knows of no applications
    _begun = "/trust/%d/main.py" % twinroot.SET, False, 0
try:
    execfile(_begun[0])  # noqa: F821 (MicroPython's)
except Exception as e:
    try:
        _failed = twinroot.app.failed
    except Exception:
        raise e
    _failed(e, _begun)

# mypy: ignore-errors
# ruff: noqa
# `esp32`: partitions of the flash, NVS, and the few calls that a board without radio and sensors can answer.
import struct
import _hardware

_TABLE = 0x8000
_TABLE_SIZE = 0xC00
HEAP_DATA = 4
HEAP_EXEC = 1
WAKEUP_ALL_LOW = 0
WAKEUP_ANY_HIGH = 1


class Partition:
    TYPE_APP = 0
    TYPE_DATA = 1
    BOOT = 0
    RUNNING = 1

    def __init__(self, what, block_size=4096):
        if isinstance(what, tuple):
            self._info = what
        else:
            rows = [r for r in _rows() if (r[4] == what if isinstance(what, str) else r[0] == 0)]
            if not rows:
                raise OSError(2)
            self._info = rows[0]
        self._start = self._info[2]
        self._size = self._info[3]
        self._block = block_size
        if self._info[4] == "vfs" and block_size == 4096:
            # What littlefs calls is native, so that a Control-C cannot unwind it half-way: on an ESP32 it is C as well.
            _hardware.partition(self._start, self._size)
            self.readblocks, self.writeblocks, self.ioctl = _hardware.readblocks, _hardware.writeblocks, _hardware.ioctl

    @staticmethod
    def find(type=0, subtype=0xFF, label=None, block_size=4096):
        return [Partition(r, block_size) for r in _rows() if r[0] == type and subtype in (0xFF, r[1]) and (label is None or r[4] == label)]

    def info(self):
        return self._info

    def readblocks(self, block, buf, offset=0):
        at = block * self._block + offset
        if at < 0 or at + len(buf) > self._size:
            raise OSError(22)
        _hardware.flash_read(self._start + at, buf)

    def writeblocks(self, block, buf, offset=None):
        at = block * self._block + (offset or 0)
        if at < 0 or at + len(buf) > self._size:
            raise OSError(22)
        at += self._start
        if offset is None:
            if self._block == 4096:
                _hardware.flash(_hardware.ERASE, at, len(buf))
            else:
                return self._through_cache(at, buf)
        _hardware.flash(_hardware.PROGRAM, at, len(buf), buf)

    def _through_cache(self, at, buf):
        # Blocks smaller than the erase size (FAT): read the whole 4096 bytes, change them, erase, write.
        cache = bytearray(4096)
        done = 0
        while done < len(buf):
            page = (at + done) & ~4095
            inside = at + done - page
            n = min(4096 - inside, len(buf) - done)
            _hardware.flash_read(page, cache)
            cache[inside : inside + n] = memoryview(buf)[done : done + n]
            _hardware.call(_hardware.ERASE, page, 4096)
            _hardware.call(_hardware.PROGRAM, page, 4096, cache)
            done += n

    def ioctl(self, op, arg):
        if op == 4:
            return self._size // self._block
        if op == 5:
            return self._block
        if op == 6:
            if self._block == 4096:
                _hardware.flash(_hardware.ERASE, self._start + arg * 4096, 4096)
            return 0
        return 0

    def set_boot(self):
        raise OSError(95)

    def get_next_update(self):
        raise OSError(2)

    @staticmethod
    def mark_app_valid_cancel_rollback():
        pass


def _rows():
    table = bytearray(_TABLE_SIZE)
    _hardware.flash_read(_TABLE, table)
    rows = []
    for at in range(0, _TABLE_SIZE, 32):
        if table[at : at + 2] != b"\xaa\x50":
            break
        kind, subtype, offset, size = struct.unpack_from("<BBII", table, at + 2)
        label = bytes(table[at + 12 : at + 28]).split(b"\0")[0].decode()
        flags = struct.unpack_from("<I", table, at + 28)[0]
        rows.append((kind, subtype, offset, size, label, bool(flags & 1)))
    # As boardctrl_startup() does: without a file system in the table, it gets what is left behind the last partition.
    if rows and not [r for r in rows if r[4] in ("vfs", "ffat")]:
        import esp

        end = max([r[2] + r[3] for r in rows])
        if esp.flash_size() > end:
            rows.append((1, 0x81, end, esp.flash_size() - end, "vfs", False))
    return rows


class NVS:
    def __init__(self, namespace):
        self._prefix = namespace + "/"

    def _get(self, kind, key):
        return _hardware.call(_hardware.NVS_GET, data=(kind + self._prefix + key).encode(), want=True)

    def set_i32(self, key, value):
        self._set("i", key, struct.pack("<i", value))

    def get_i32(self, key):
        return struct.unpack("<i", self._get("i", key))[0]

    def set_blob(self, key, value):
        self._set("b", key, bytes(value))

    def get_blob(self, key, buf):
        got = self._get("b", key)
        if len(got) > len(buf):
            raise OSError(-4364)
        buf[: len(got)] = got
        return len(got)

    def _set(self, kind, key, value):
        name = (kind + self._prefix + key).encode()
        _hardware.call(_hardware.NVS_SET, len(name), 1, name + value)

    def erase_key(self, key):
        for kind in "ib":
            _hardware.call(_hardware.NVS_SET, 0, 0, (kind + self._prefix + key).encode())

    def commit(self):
        pass


def idf_heap_info(capabilities):
    return [(81920, 65536, 61440, 65536), (98304, 81920, 77824, 81920)]


def raw_temperature():
    return 110


def mcu_temperature():
    return 43


def wake_on_ext0(pin=None, level=0):
    pass


def wake_on_ext1(pins=None, level=0):
    pass


def gpio_deep_sleep_hold(enable):
    pass

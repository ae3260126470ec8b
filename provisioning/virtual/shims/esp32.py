# mypy: ignore-errors
# ruff: noqa
# `esp32`: partitions of the flash, NVS, and the few calls that a board without radio and sensors can answer.
import struct as _struct
import _hardware

_TABLE = 0x8000
_TABLE_SIZE = 0xC00
HEAP_DATA = 4
HEAP_EXEC = 1
WAKEUP_ALL_LOW = False
WAKEUP_ANY_HIGH = True
# From esp_err.h, nvs.h and esp_ota_ops.h of ESP-IDF.
_ERRORS = {
    0x102: "ESP_ERR_INVALID_ARG",
    0x104: "ESP_ERR_INVALID_SIZE",
    0x105: "ESP_ERR_NOT_FOUND",
    0x1101: "ESP_ERR_NVS_NOT_INITIALIZED",
    0x1102: "ESP_ERR_NVS_NOT_FOUND",
    0x1105: "ESP_ERR_NVS_NOT_ENOUGH_SPACE",
    0x1109: "ESP_ERR_NVS_KEY_TOO_LONG",
    0x110C: "ESP_ERR_NVS_INVALID_LENGTH",
    0x1503: "ESP_ERR_OTA_VALIDATE_FAILED",
    -1: "ESP_FAIL",
}


def _error(number):
    # As check_esp_err() of ports/esp32/mphalport.c.
    return OSError(-number, _ERRORS[number]) if number in _ERRORS else OSError(number)


def _ask(op, a=0, b=0, data=None, want=False):
    try:
        return _hardware.call(op, a, b, data, want)
    except OSError as error:
        raise _error(error.errno if error.errno != 1 else -1)


class Partition:
    TYPE_APP = 0
    TYPE_DATA = 1
    BOOT = 0
    RUNNING = 1

    def __init__(self, what, block_size=4096):
        if isinstance(what, tuple):
            self._info = what
        else:
            if what not in (0, 1) and not isinstance(what, str):
                raise ValueError
            self._info = _named(what) if isinstance(what, str) else _at(_slots(1 - what))
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

    def _where(self, block, size, offset):
        at = block * self._block + (offset or 0)
        if not 0 <= at <= self._size:
            raise _error(0x102)
        if at + size > self._size:
            raise _error(0x104)
        return self._start + at

    def readblocks(self, block, buf, offset=0):
        _hardware.flash_read(self._where(block, len(buf), offset), buf)

    def writeblocks(self, block, buf, offset=None):
        at = self._where(block, len(buf), offset)
        if offset is None:
            if self._block < 4096:
                return self._through_cache(at, buf)
            if len(buf) % 4096:
                raise _error(0x104)
            _hardware.flash(_hardware.ERASE, at, len(buf))
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
            if self._block != 4096:
                return -22
            _hardware.flash(_hardware.ERASE, self._where(arg, 4096, 0), 4096)
            return 0
        if op in (1, 2, 3):
            return 0

    def set_boot(self):
        _slots(3, self._start)

    def __repr__(self):
        return "<Partition type=%u, subtype=%u, address=%u, size=%u, label=%s, encrypted=%u>" % self._info

    def get_next_update(self):
        return Partition(_at(_slots(2, self._start)))

    @staticmethod
    def mark_app_valid_cancel_rollback():
        _slots(4)


def _slots(what, address=0):
    # As the hardware process numbers them (requests.py): 0 running, 1 boot, 2 next, 3 set boot, 4 mark valid.
    return _ask(_hardware.SLOTS, what, address) << 12


def _at(address):
    return [r for r in _rows() if r[2] == address][0]


def _named(label):
    rows = [r for r in _rows() if r[4] == label]
    if not rows:
        raise OSError(2)
    return sorted(rows)[0]  # applications first


def _rows():
    table = bytearray(_TABLE_SIZE)
    _hardware.flash_read(_TABLE, table)
    rows = []
    for at in range(0, _TABLE_SIZE, 32):
        if table[at : at + 2] != b"\xaa\x50":
            break
        kind, subtype, offset, size = _struct.unpack_from("<BBII", table, at + 2)
        label = bytes(table[at + 12 : at + 28]).split(b"\0")[0].decode()
        flags = _struct.unpack_from("<I", table, at + 28)[0]
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
        self._prefix = self._short(namespace) + "/"

    def _short(self, name):
        if len(name) > 15:
            raise _error(0x1109)
        return name

    def _name(self, kind, key):
        return (kind + self._prefix + self._short(key)).encode()

    def _get(self, kind, key):
        return _ask(_hardware.NVS_GET, data=self._name(kind, key), want=True)

    def set_i32(self, key, value):
        self._set("i", "b", key, _struct.pack("<i", value))

    def get_i32(self, key):
        return _struct.unpack("<i", self._get("i", key))[0]

    def set_blob(self, key, value):
        self._set("b", "i", key, value.encode() if isinstance(value, str) else bytes(value))

    def get_blob(self, key, buf):
        got = self._get("b", key)
        if len(got) > len(buf):
            raise _error(0x110C)
        buf[: len(got)] = got
        return len(got)

    def _set(self, kind, other, key, value):
        name = self._name(kind, key)
        _ask(_hardware.NVS_SET, len(name), 1, name + value)
        self._erase(other, key)  # a key has one value, of the kind that was set last

    def _erase(self, kind, key):
        # 1: it was there.
        return _ask(_hardware.NVS_SET, 0, 0, self._name(kind, key))

    def erase_key(self, key):
        if not self._erase("i", key) + self._erase("b", key):
            raise _error(0x1102)

    def commit(self):
        pass


def idf_heap_info(capabilities):
    # (size, free, largest free block, least free ever) of each region with these MALLOC_CAP_ bits, as an ESP32 has them behind MicroPython.
    if capabilities < 0 or not capabilities & (HEAP_DATA | HEAP_EXEC):
        return []
    data = [(7288, 36, 0, 36), (81920, 65536, 61440, 65536), (98304, 81920, 77824, 81920), (15072, 11396, 11264, 11396)]
    return data + [(113840, 67872, 65536, 67872)] if capabilities & HEAP_EXEC else data


def raw_temperature():
    return 110


def mcu_temperature():
    return 43


def wake_on_touch(wake):
    pass


def wake_on_ulp(wake):
    pass


def wake_on_ext0(pin=None, level=0):
    pass


def wake_on_ext1(pins=None, level=0):
    pass


def gpio_deep_sleep_hold(enable):
    pass

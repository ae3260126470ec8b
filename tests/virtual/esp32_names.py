"""The names in the built-in modules and types of a stock ESP32_GENERIC_C3 1.24.1, asked on an emulated chip; and what it can import."""

from __future__ import annotations

NAMES = {
    "_thread": "LockType allocate_lock exit get_ident stack_size start_new_thread",
    "array": "array",
    "binascii": "a2b_base64 b2a_base64 crc32 hexlify unhexlify",
    "cmath": "cos e exp log log10 phase pi polar rect sin sqrt",
    "collections": "OrderedDict deque namedtuple",
    "cryptolib": "aes",
    "deflate": "AUTO DeflateIO GZIP RAW ZLIB",
    "errno": (
        "EACCES EADDRINUSE EAGAIN EALREADY EBADF ECONNABORTED ECONNREFUSED ECONNRESET EEXIST EHOSTUNREACH EINPROGRESS "
        "EINVAL EIO EISDIR ENOBUFS ENODEV ENOENT ENOMEM ENOTCONN EOPNOTSUPP EPERM ETIMEDOUT errorcode"
    ),
    "esp": (
        "LOG_DEBUG LOG_ERROR LOG_INFO LOG_NONE LOG_VERBOSE LOG_WARNING flash_erase flash_read flash_size "
        "flash_user_start flash_write gpio_matrix_in gpio_matrix_out osdebug"
    ),
    "esp32": (
        "HEAP_DATA HEAP_EXEC NVS Partition RMT WAKEUP_ALL_LOW WAKEUP_ANY_HIGH gpio_deep_sleep_hold idf_heap_info "
        "mcu_temperature wake_on_ext0 wake_on_ext1 wake_on_touch wake_on_ulp"
    ),
    "esp32.NVS": "commit erase_key get_blob get_i32 set_blob set_i32",
    "esp32.Partition": (
        "BOOT RUNNING TYPE_APP TYPE_DATA find get_next_update info ioctl mark_app_valid_cancel_rollback readblocks set_boot writeblocks"
    ),
    "framebuf": "FrameBuffer FrameBuffer1 GS2_HMSB GS4_HMSB GS8 MONO_HLSB MONO_HMSB MONO_VLSB MVLSB RGB565",
    "gc": "collect disable enable isenabled mem_alloc mem_free threshold",
    "hashlib": "md5 sha1 sha256",
    "heapq": "heapify heappop heappush",
    "io": "BufferedWriter BytesIO IOBase StringIO open",
    "json": "dump dumps load loads",
    "machine": (
        "ADC ADCBlock DEEPSLEEP DEEPSLEEP_RESET EXT0_WAKE EXT1_WAKE HARD_RESET I2C PIN_WAKE PWM PWRON_RESET Pin RTC "
        "SLEEP SOFT_RESET SPI Signal SoftI2C SoftSPI TIMER_WAKE TOUCHPAD_WAKE Timer UART ULP_WAKE WDT WDT_RESET "
        "bitstream bootloader deepsleep dht_readinto disable_irq enable_irq freq idle lightsleep mem16 mem32 mem8 reset "
        "reset_cause sleep soft_reset time_pulse_us unique_id wake_reason"
    ),
    "machine.ADC": "ATTN_0DB ATTN_11DB ATTN_2_5DB ATTN_6DB WIDTH_12BIT atten block init read read_u16 read_uv width",
    "machine.PWM": "deinit duty duty_ns duty_u16 freq init",
    "machine.Pin": (
        "DRIVE_0 DRIVE_1 DRIVE_2 DRIVE_3 IN IRQ_FALLING IRQ_RISING OPEN_DRAIN OUT PULL_DOWN PULL_UP WAKE_HIGH WAKE_LOW "
        "board init irq off on value"
    ),
    "machine.RTC": "datetime init memory",
    "machine.Timer": "ONE_SHOT PERIODIC deinit init value",
    "machine.UART": (
        "CTS INV_CTS INV_RTS INV_RX INV_TX IRQ_BREAK IRQ_RX IRQ_RXIDLE RTS any deinit flush init irq read readinto "
        "readline sendbreak txdone write"
    ),
    "machine.WDT": "feed",
    "math": (
        "acos acosh asin asinh atan atan2 atanh ceil copysign cos cosh degrees e erf erfc exp expm1 fabs factorial "
        "floor fmod frexp gamma inf isclose isfinite isinf isnan ldexp lgamma log log10 log2 modf nan pi pow radians "
        "sin sinh sqrt tan tanh tau trunc"
    ),
    "micropython": (
        "RingIO alloc_emergency_exception_buf const heap_lock heap_unlock kbd_intr mem_info opt_level qstr_info schedule stack_use"
    ),
    "network": (
        "AP_IF AUTH_MAX AUTH_OPEN AUTH_OWE AUTH_WAPI_PSK AUTH_WEP AUTH_WPA2_ENTERPRISE AUTH_WPA2_PSK AUTH_WPA2_WPA3_PSK "
        "AUTH_WPA3_ENT_192 AUTH_WPA3_EXT_PSK AUTH_WPA3_EXT_PSK_MIXED_MODE AUTH_WPA3_PSK AUTH_WPA_PSK AUTH_WPA_WPA2_PSK "
        "ETH_CONNECTED ETH_DISCONNECTED ETH_GOT_IP ETH_INITIALIZED ETH_STARTED ETH_STOPPED LAN MODE_11B MODE_11G "
        "MODE_11N MODE_LR PHY_DM9051 PHY_DP83848 PHY_IP101 PHY_KSZ8041 PHY_KSZ8081 PHY_KSZ8851SNL PHY_LAN8710 "
        "PHY_LAN8720 PHY_RTL8201 PHY_W5500 PPP STAT_ASSOC_FAIL STAT_BEACON_TIMEOUT STAT_CONNECTING STAT_GOT_IP "
        "STAT_HANDSHAKE_TIMEOUT STAT_IDLE STAT_NO_AP_FOUND STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD "
        "STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY STAT_WRONG_PASSWORD STA_IF WLAN "
        "country hostname ipconfig phy_mode"
    ),
    "network.WLAN": (
        "IF_AP IF_STA PM_NONE PM_PERFORMANCE PM_POWERSAVE SEC_OPEN SEC_OWE SEC_WAPI SEC_WEP SEC_WPA SEC_WPA2 "
        "SEC_WPA2_ENT SEC_WPA2_WPA3 SEC_WPA3 SEC_WPA_WPA2 active config connect disconnect ifconfig ipconfig "
        "isconnected scan status"
    ),
    "ntptime": "gmtime host settime socket struct time timeout",
    "os": (
        "VfsFat VfsLfs2 chdir dupterm dupterm_notify getcwd ilistdir listdir mkdir mount remove rename rmdir sep stat "
        "statvfs sync umount uname unlink urandom"
    ),
    "platform": "libc_ver platform python_compiler",
    "random": "choice getrandbits randint random randrange seed uniform",
    "re": "compile match search sub",
    "select": "POLLERR POLLHUP POLLIN POLLOUT poll select",
    "socket": (
        "AF_INET AF_INET6 IPPROTO_IP IPPROTO_TCP IPPROTO_UDP IP_ADD_MEMBERSHIP SOCK_DGRAM SOCK_RAW SOCK_STREAM "
        "SOL_SOCKET SO_BINDTODEVICE SO_BROADCAST SO_REUSEADDR TCP_NODELAY getaddrinfo socket"
    ),
    "socket.socket": (
        "accept bind close connect fileno listen makefile read readinto readline recv recvfrom send sendall sendto "
        "setblocking setsockopt settimeout write"
    ),
    "ssl": ("CERT_NONE CERT_OPTIONAL CERT_REQUIRED MBEDTLS_VERSION PROTOCOL_TLS_CLIENT PROTOCOL_TLS_SERVER SSLContext tls wrap_socket"),
    "struct": "calcsize pack pack_into unpack unpack_from",
    "sys": (
        "argv byteorder exit implementation maxsize modules path platform print_exception ps1 ps2 stderr stdin stdout version version_info"
    ),
    "sys.stdin": "buffer close read readinto readline readlines write",
    "sys.stdout": "buffer close read readinto readline readlines write",
    "sys.stdout.buffer": "buffer close read readinto readline readlines write",
    "time": "gmtime localtime mktime sleep sleep_ms sleep_us ticks_add ticks_cpu ticks_diff ticks_ms ticks_us time time_ns",
    "tls": "CERT_NONE CERT_OPTIONAL CERT_REQUIRED MBEDTLS_VERSION PROTOCOL_TLS_CLIENT PROTOCOL_TLS_SERVER SSLContext",
    "uctypes": (
        "ARRAY BFINT16 BFINT32 BFINT8 BFUINT16 BFUINT32 BFUINT8 BF_LEN BF_POS BIG_ENDIAN FLOAT32 FLOAT64 INT INT16 "
        "INT32 INT64 INT8 LITTLE_ENDIAN LONG LONGLONG NATIVE PTR SHORT UINT UINT16 UINT32 UINT64 UINT8 ULONG ULONGLONG "
        "USHORT VOID addressof bytearray_at bytes_at sizeof struct"
    ),
    "vfs": "VfsFat VfsLfs2 mount umount",
    "websocket": "websocket",
}

MODULES = (
    "_onewire _thread _webrepl aioespnow apa106 array asyncio binascii bluetooth btree builtins cmath collections cryptolib deflate "
    "dht ds18x20 errno esp esp32 espnow flashbdev framebuf gc hashlib heapq inisetup io json machine math micropython mip neopixel "
    "network ntptime onewire os platform random re requests select socket ssl struct sys time tls uctypes urequests vfs webrepl "
    "websocket"
)

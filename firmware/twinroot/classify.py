"""From what a TLS library or a socket raised to one kind of failure: by the text where the build has texts, else by
the number. Numbers are mbedTLS 3 (ssl.h, x509.h, error.h) and errno. What is unknown counts as network, because that
never changes a route."""

# Line of a ValueError -> kind. Several lines may come at once and the first row that matches decides: with a wrong
# clock, or another server's name, "not signed by the trusted CA" is no evidence about a root.
_TEXT = (
    ("expired", "clock"),
    ("future", "clock"),
    ("Common Name", "hostname"),
    ("invalid", "set"),  # 'invalid cert', 'invalid key': our own file
    ("CERT_REQUIRED", "set"),
    ("certificate", "trust"),  # not correctly signed, unacceptable hash or key
    ("Usage", "trust"),  # keyUsage, extendedKeyUsage, nsCertType
)
# Allocation failures: errno ENOMEM, PSA (141), and mbedTLS modules without their low-level part.
_MEMORY = (12, 141, -0x1180, -0x2880, -0x3F80, -0x4D80, -0x5180, -0x6180, -0x7F00)


def kind(e, verified=False):
    """Kind of the exception `e`. `verified`: the server's chain had already been accepted when it was raised."""
    if isinstance(e, MemoryError):
        return "memory"
    a = e.args[0] if e.args else 0
    if not isinstance(e, OSError):
        a = str(a)
        for text, k in _TEXT:
            if text in a:
                return k
        return "network"
    if not isinstance(a, int):
        return "network"
    low = -a & 0x7F if a < -255 else 0
    if a in _MEMORY or low in (0x10, 0x6A):  # MPI_ALLOC_FAILED, ASN1_ALLOC_FAILED
        return "memory"
    if a == -0x2700:  # X509_CERT_VERIFY_FAILED without text
        return "verify"
    if a == -0x7680:  # CA_CHAIN_REQUIRED: no root loaded
        return "set"
    if a == -0x7780 and verified:  # fatal alert after our certificate was sent
        return "refused"
    return "network"

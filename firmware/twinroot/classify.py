"""From what a TLS library or a socket raised to one kind of failure: by the text where the build has texts, else by
the number. Numbers are mbedTLS 3 (ssl.h, x509.h, error.h) and errno. What is unknown counts as network, because that
never changes a route. Loaded with the first failure."""

# Part of a line -> kind. Several lines may come at once and the first row that matches decides: with a wrong clock, or
# another server's name, "not signed by the trusted CA" is not evidence about a root. 'invalid' is our own file; Usage is
# keyUsage, extendedKeyUsage, nsCertType; the rest of the lines about a certificate are its signature, hash, key.
_TEXT = "expired clock|future clock|Common hostname|invalid set|CERT_REQUIRED set|certificate trust|Usage trust"
# ENOMEM, PSA_ERROR_INSUFFICIENT_MEMORY, and PEM, X509, PK, ECP, MD, CIPHER, SSL of mbedTLS: ..._ALLOC_FAILED
_MEMORY = b"\x11\x80\x28\x80\x3f\x80\x4d\x80\x51\x80\x61\x80\x7f\x00"


def kind(e, verified=False):
    """Kind of the exception `e`. `verified`: the server's chain had already been accepted when it was raised."""
    if isinstance(e, MemoryError):
        return "memory"
    a = e.args[0] if e.args else 0
    if not isinstance(e, (OSError, ValueError)):
        return "set" if isinstance(e, (AttributeError, TypeError, KeyError)) else "network"
    if not isinstance(e, OSError):
        a = str(a)
        for row in _TEXT.split("|"):
            row = row.split()
            if row[0] in a:
                return row[1]
        return "network"
    if not isinstance(a, int):
        return "network"
    if a in (12, 141):
        return "memory"
    a = -a
    if a > 255:
        if a & 0x7F in (0x10, 0x6A):  # MPI, ASN1: ..._ALLOC_FAILED, added to the number of the module above them
            return "memory"
        for i in range(0, len(_MEMORY), 2):
            if a == _MEMORY[i] << 8 | _MEMORY[i + 1]:
                return "memory"
    if a == 0x2700:  # X509_CERT_VERIFY_FAILED without text
        return "verify"
    if a == 0x7680:  # SSL_CA_CHAIN_REQUIRED: no root loaded
        return "set"
    if a == 0x7A00 and verified:  # SSL_BAD_CERTIFICATE: the chain is good, the leaf is not for servers
        return "trust"
    if a == 0x7780 and verified:  # SSL_FATAL_ALERT_MESSAGE after our certificate was sent
        return "refused"
    return "network"


def ended(e, link):
    """The package's error for what a call met in the session of `link` (None: there is none yet), which it ends: where the next packet
    begins is not known any more. A subscription that is refused ends nothing."""
    from . import errors

    if not isinstance(e, errors.TwinrootError):
        if e.args and e.args[0] == 0x80:
            return errors.make("refused", "subscription", link.route)
        e = errors.make(kind(e, True) if isinstance(e, (OSError, MemoryError)) else "network", e, link and link.route)
    if link:
        link.wire.dead = True
        link.close()
    return e


def error(e, route, seen, wire):
    """The package's error for `e`, raised while the set's files were loaded (`wire` None), on the way to the server
    (True), or in a handshake over that Wire. `seen`: what the verify callback collected."""
    from . import errors

    k = kind(e, bool(seen))
    what = issuer = ""
    if isinstance(e, AttributeError) and not wire:
        what = "this TLS library cannot verify servers (axTLS on ESP8266): refused, use an ESP32"
    if not wire:
        if k == "network":
            k = "set"  # a file of the set could not be read
    elif k == "set" and not isinstance(e, OSError):
        k = "network"  # the certificate that cannot be parsed is the server's
    elif k == "verify":
        from . import verify

        k = verify.kind(seen, route["host"])
    if wire and wire is not True and wire.head not in (0, 0x15, 0x16):  # TLS begins with an alert or a handshake
        what = "the server does not speak TLS, a captive portal?"
    if k == "trust" and len(seen) > 1:
        from . import verify

        issuer = verify.issuer(seen[1])
    return errors.make(k, e, route.get("name"), issuer or None, what)

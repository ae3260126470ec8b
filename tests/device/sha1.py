"""A certificate signed anew with SHA-1, which `cryptography` no longer does: DER taken apart and put together."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from tests.support.pki import Cert

_RSA = bytes.fromhex("300d06092a864886f70d0101050500")  # sha1WithRSAEncryption, NULL
_EC = bytes.fromhex("300906072a8648ce3d0401")  # ecdsa-with-SHA1


def wrap(tag: int, contents: bytes) -> bytes:
    """A DER element."""
    size = len(contents)
    if size < 128:
        return bytes((tag, size)) + contents
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + contents


def elements(contents: bytes) -> list[bytes]:
    """The DER elements that stand one after the other."""
    out, i = [], 0
    while i < len(contents):
        size, start = contents[i + 1], i + 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(contents[i + 2 : start], "big")
        out.append(contents[i : start + size])
        i = start + size
    return out


def body(element: bytes) -> bytes:
    """Contents of a DER element."""
    return element[2 + (element[1] & 0x7F if element[1] & 0x80 else 0) :]


def resigned(cert: Cert, signer: Cert) -> Cert:
    is_ec = isinstance(signer.key, ec.EllipticCurvePrivateKey)
    algorithm = _EC if is_ec else _RSA
    tbs = elements(body(elements(body(cert.der))[0]))
    tbs[2] = algorithm  # after version and serial number
    signed = wrap(0x30, b"".join(tbs))
    scheme = (ec.ECDSA(hashes.SHA1()),) if is_ec else (padding.PKCS1v15(), hashes.SHA1())
    signature = signer.key.sign(signed, *scheme)
    der = wrap(0x30, signed + algorithm + wrap(0x03, b"\0" + signature))
    return Cert(x509.load_der_x509_certificate(der), cert.key)

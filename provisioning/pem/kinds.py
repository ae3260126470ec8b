"""What lies in files of certificates and keys, as a table: what it is, how it is recognised, and the one command that helps where it is
not what was wanted.

Recognised by the label of PEM (RFC 7468), by the shape of DER, or by its first bytes. A shape is a text of one letter an element, the
elements of a SEQUENCE in brackets for one level: S SEQUENCE, I INTEGER, B BIT STRING, O OCTET STRING, D OID, T a time, N NULL, 0 to 3
context tags, x anything else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from provisioning.pem.tlv import (
    BIT_STRING,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    UTC_TIME,
    DerError,
    TlvItem,
    parse,
)

CERTIFICATE, KEY = "certificate", "key"


@dataclass(frozen=True)
class PemKind:
    """`role`: what it may be taken for ("" for what is never taken). `as_certificate`, `as_key`: the next step where that was wanted;
    {file} is the file, {stem} its path without the last ending."""

    name: str
    what: str
    role: str = ""
    labels: tuple[str, ...] = ()
    shape: str = ""  # regular expression over the whole of a shape
    magic: tuple[bytes, ...] = ()
    as_certificate: str = ""
    as_key: str = ""

    def help(self, wanted: str, file: str) -> str:
        """The next step where `wanted` (CERTIFICATE, KEY) was expected in `file` and this is there."""
        text = self.as_key if wanted == KEY else self.as_certificate
        stem = file.removesuffix(".pem").rpartition(".")[0] or file
        return text.format(file=_quoted(file), stem=_quoted(stem))


_NO_KEY_HERE = "The private key is another file; `grep -l 'PRIVATE KEY' *` names it. What has no key any more is made anew."
_NO_CERTIFICATE_HERE = "Are certificate and key exchanged? `grep -l 'BEGIN CERTIFICATE' *` names the files with certificates."
_DECRYPT = "openssl pkey -in {file} -out {stem}.plain.pem"

KINDS: tuple[PemKind, ...] = (
    PemKind(
        "certificate",
        "a certificate",
        CERTIFICATE,
        labels=("CERTIFICATE",),
        shape=r"S\(0?ISSSSS[0-3x]*\)SB",
        as_key=_NO_KEY_HERE,
    ),
    PemKind(
        "x509-certificate",
        "an X509 CERTIFICATE, a label that AWS and devices do not take",
        labels=("X509 CERTIFICATE",),
        as_certificate="openssl x509 -in {file} -out {stem}.plain.pem",
        as_key=_NO_KEY_HERE,
    ),
    PemKind(
        "trusted-certificate",
        "a TRUSTED CERTIFICATE, OpenSSL's own form with trust settings",
        labels=("TRUSTED CERTIFICATE",),
        as_certificate="openssl x509 -in {file} -out {stem}.plain.pem",
        as_key=_NO_KEY_HERE,
    ),
    PemKind(
        "pkcs7",
        "PKCS#7 (.p7b)",
        labels=("PKCS7", "CMS", "PKCS #7 SIGNED DATA"),
        shape=r"D(0.*)?",
        as_certificate="openssl pkcs7 -print_certs -in {file} -out {stem}.plain.pem",
        as_key=_NO_KEY_HERE,
    ),
    PemKind(
        "encrypted-key",
        "an encrypted private key, and a device has nobody to type a password",
        labels=("ENCRYPTED PRIVATE KEY",),
        shape=r"S\(D.*\)O",
        as_certificate=_NO_CERTIFICATE_HERE,
        as_key=_DECRYPT,
    ),
    PemKind("pkcs8-key", "a private key", KEY, ("PRIVATE KEY",), r"IS\(D.*\)O.*", as_certificate=_NO_CERTIFICATE_HERE),
    PemKind("ec-key", "a private key", KEY, ("EC PRIVATE KEY",), r"IO0?1?", as_certificate=_NO_CERTIFICATE_HERE),
    PemKind("rsa-key", "a private key", KEY, ("RSA PRIVATE KEY",), r"I{9}S?", as_certificate=_NO_CERTIFICATE_HERE),
    PemKind(
        "dsa-key",
        "a DSA key, which devices and AWS do not take",
        labels=("DSA PRIVATE KEY",),
        shape=r"I{6}",
        as_certificate=_NO_CERTIFICATE_HERE,
        as_key="openssl ecparam -name prime256v1 -genkey -noout -out {stem}.ec.pem",
    ),
    PemKind(
        "openssh-key",
        "a private key in OpenSSH's form",
        labels=("OPENSSH PRIVATE KEY",),
        as_certificate=_NO_CERTIFICATE_HERE,
        as_key="ssh-keygen -p -N '' -m PEM -f {file}",
    ),
    PemKind(
        "putty-key",
        "a private key in PuTTY's form",
        magic=(b"PuTTY-User-Key-File",),
        as_certificate=_NO_CERTIFICATE_HERE,
        as_key="puttygen {file} -O private-openssh -o {stem}.pem",
    ),
    PemKind(
        "public-key",
        "a public key",
        labels=("PUBLIC KEY", "RSA PUBLIC KEY", "SSH2 PUBLIC KEY"),
        shape=r"S\(D.*\)B|II",
        magic=(b"ssh-rsa ", b"ssh-ed25519 ", b"ecdsa-sha2-", b"---- BEGIN SSH2 PUBLIC KEY"),
        as_certificate="A certificate is a public key that a CA signed; `grep -l 'BEGIN CERTIFICATE' *` names the files with certificates.",
        as_key=_NO_KEY_HERE,
    ),
    PemKind(
        "request",
        "a certificate request (CSR), which nobody has signed yet",
        labels=("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
        shape=r"S\(ISS0?\)SB",
        as_certificate="aws iot create-certificate-from-csr --set-as-active --certificate-signing-request file://{file} "
        "--certificate-pem-outfile {stem}.crt.pem",
        as_key=_NO_KEY_HERE,
    ),
    PemKind(
        "pkcs12",
        "PKCS#12 (.p12, .pfx)",
        labels=("PKCS12",),
        shape=r"IS\(D0\)S?(\(.*\))?",
        as_certificate="openssl pkcs12 -in {file} -clcerts -nokeys -out {stem}.crt.pem",
        as_key="openssl pkcs12 -in {file} -nocerts -nodes -out {stem}.key.pem",
    ),
    PemKind(
        "crl",
        "a list of revoked certificates (CRL)",
        labels=("X509 CRL",),
        shape=r"S\(I?SST.*\)SB",
        as_certificate=_NO_CERTIFICATE_HERE,
        as_key=_NO_KEY_HERE,
    ),
    PemKind(
        "parameters",
        "parameters of a key",
        labels=("EC PARAMETERS", "DH PARAMETERS"),
        as_certificate=_NO_CERTIFICATE_HERE,
        as_key=_NO_KEY_HERE,
    ),
    PemKind(
        "java-keystore",
        "a Java key store (.jks)",
        magic=(b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce"),
        as_certificate="keytool -exportcert -rfc -keystore {file} -alias ALIAS -file {stem}.crt.pem",
        as_key="keytool -importkeystore -srckeystore {file} -destkeystore {stem}.p12 -deststoretype PKCS12",
    ),
    PemKind("zip", "a ZIP archive", magic=(b"PK\x03\x04",), as_certificate="unzip {file}", as_key="unzip {file}"),
    PemKind(
        "page",
        "a web page, not what was meant to be downloaded",
        magic=(b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML", b"<?xml"),
        as_certificate="curl -fsSLo {file} ADDRESS-OF-THE-FILE",
        as_key="Get the key again from whoever made it.",
    ),
    PemKind(
        "pgp",
        "an OpenPGP file",
        labels=("PGP MESSAGE", "PGP PRIVATE KEY BLOCK", "PGP PUBLIC KEY BLOCK"),
        as_certificate="gpg --decrypt {file}",
        as_key="gpg --decrypt {file}",
    ),
)  # fmt: skip

UNKNOWN = PemKind("unknown", "something that is not known", as_certificate=_NO_CERTIFICATE_HERE, as_key=_NO_KEY_HERE)

_BY_LABEL = {label: kind for kind in KINDS for label in kind.labels}
_BY_SHAPE = tuple((re.compile(kind.shape), kind) for kind in KINDS if kind.shape)
_LETTER = {SEQUENCE: "S", INTEGER: "I", BIT_STRING: "B", OCTET_STRING: "O", OID: "D", UTC_TIME: "T", GENERALIZED_TIME: "T", 0x05: "N"}
_MAX_ELEMENTS = 16  # of a level; no kind has more, and a file made to be slow has millions


def by_label(label: str) -> PemKind:
    return _BY_LABEL.get(label, UNKNOWN)


def by_magic(data: bytes) -> PemKind | None:
    head = data[:256].lstrip()
    return next((kind for kind in KINDS if head.startswith(kind.magic)), None) if head else None


def by_shape(data: bytes) -> PemKind | None:
    """The kind of a DER structure; None where it is none that is known. Bytes after it are not looked at."""
    try:
        found = _shape(parse(data))
    except DerError:
        return None
    return next((kind for pattern, kind in _BY_SHAPE if pattern.fullmatch(found)), None)


def _shape(outer: TlvItem) -> str:
    if outer.tag != SEQUENCE:
        return ""
    text = ""
    for item in _few(outer):
        text += _letter(item)
        if item.tag == SEQUENCE and len(text) <= 2:  # the first or second element tells kinds apart
            text += f"({''.join(map(_letter, _few(item)))})"
    return text


def _letter(item: TlvItem) -> str:
    return str(item.tag - 0xA0) if 0xA0 <= item.tag <= 0xA3 else _LETTER.get(item.tag, "x")


def _few(outer: TlvItem) -> list[TlvItem]:
    found: list[TlvItem] = []
    at = outer.body
    while at < outer.end and len(found) < _MAX_ELEMENTS:
        item = parse(outer.data, at)
        if item.end > outer.end:
            raise DerError("an element is longer than the one that holds it")
        found.append(item)
        at = item.end
    return found


def _quoted(file: str) -> str:
    return f"'{file}'" if any(c in " ()&;'$" for c in file) else file

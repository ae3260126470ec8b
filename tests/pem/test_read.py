"""Certificates and keys in every form people have them: read, or named with the command that helps; pure texts, no board."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.pem import kinds, read
from provisioning.pem.kinds import CERTIFICATE, KEY
from provisioning.pem.read import Unreadable
from provisioning.trust.contents import examine_bytes
from provisioning.trust.roots import load_roots
from tests.support.product_files import certificate_pem, key_pem

EC, RSA = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PLAIN, SEALED = serialization.NoEncryption(), serialization.BestAvailableEncryption(b"secret")
FORM = serialization.PrivateFormat
CERT = certificate_pem(EC, "ws-0001")
LEAF = x509.load_pem_x509_certificate(CERT)
KEYS = {
    f"{name}-{form}": key.private_bytes(PEM, getattr(FORM, form), PLAIN)
    for name, key in (("ec", EC), ("rsa", RSA))
    for form in ("TraditionalOpenSSL", "PKCS8")
}


def header(pem: bytes) -> bytes:
    """As FreeRTOS has it in aws_clientcredential_keys.h."""
    return b"#define keyCLIENT_CERTIFICATE_PEM \\\n" + b"".join(b'"%s\\n"\\\n' % line for line in pem.splitlines())


# What happened to the text -> the text afterwards. All of these are read.
FORMS: dict[str, Callable[[bytes], bytes]] = {
    "as it was": lambda p: p,
    "byte-order mark": lambda p: b"\xef\xbb\xbf" + p,
    "PowerShell >": lambda p: b"\xff\xfe" + p.decode().replace("\n", "\r\n").encode("utf-16-le"),
    "UTF-16, big-endian": lambda p: b"\xfe\xff" + p.decode().encode("utf-16-be"),
    "UTF-16 without a mark": lambda p: p.decode().encode("utf-16-le"),
    "literal backslash n": lambda p: p.replace(b"\n", b"\\n"),
    "literal backslash n, twice": lambda p: p.replace(b"\n", b"\\\\n"),
    "literal backslash r n": lambda p: p.replace(b"\n", b"\\r\\n"),
    "a JSON text": lambda p: json.dumps(p.decode()).encode(),
    "JSON of the AWS CLI": lambda p: json.dumps({"certificateArn": "arn", "certificatePem": p.decode()}, indent=4).encode(),
    "JSON with \\u002b": lambda p: json.dumps(p.decode()).replace("+", "\\u002b").replace("/", "\\/").encode(),
    "CR only": lambda p: p.replace(b"\n", b"\r"),
    "CRLF": lambda p: p.replace(b"\n", b"\r\n"),
    "indented": lambda p: b"".join(b"    " + line + b"\n" for line in p.splitlines()),
    "tabs and blanks behind": lambda p: b"".join(b"\t" + line + b"  \n" for line in p.splitlines()),
    "no final newline": lambda p: p.rstrip(),
    "blank lines between": lambda p: p.replace(b"\n", b"\n\n"),
    "one long line": lambda p: b"\n".join((p.splitlines()[0], b"".join(p.splitlines()[1:-1]), p.splitlines()[-1])),
    "text around": lambda p: b"Bag Attributes\n    friendlyName: x\n" + p + b"\nthe end\n",
    "a C header": header,
    "base64 alone": lambda p: b"\n".join(p.splitlines()[1:-1]),
    "DER": lambda p: read.blocks(p)[-1].der,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_certificate_is_the_certificate(form: str) -> None:
    assert read.certificates(FORMS[form](CERT)) == [LEAF.public_bytes(DER)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KEYS)
def test_every_form_of_a_key_is_the_key(kind: str, form: str) -> None:
    found = read.key(FORMS[form](KEYS[kind]))
    assert read.encode(found.label, found.der) == KEYS[kind]


def request() -> x509.CertificateSigningRequest:
    return x509.CertificateSigningRequestBuilder().subject_name(LEAF.subject).sign(EC, hashes.SHA256())


def relabelled(pem: bytes, label: bytes) -> bytes:
    return pem.replace(b" CERTIFICATE-----", b" " + label + b"-----")


PUBLIC = EC.public_key()
# What the file is -> its bytes, the kind, a piece of the command that helps where a certificate was wanted, and where a key was.
OTHERS: dict[str, tuple[bytes, str, str, str]] = {
    "PKCS#12": (pkcs12.serialize_key_and_certificates(b"x", EC, LEAF, None, SEALED), "pkcs12", "openssl pkcs12", "openssl pkcs12"),
    "TRUSTED CERTIFICATE": (relabelled(CERT, b"TRUSTED CERTIFICATE"), "trusted-certificate", "openssl x509 -in", "PRIVATE KEY"),
    "X509 CERTIFICATE": (relabelled(CERT, b"X509 CERTIFICATE"), "x509-certificate", "openssl x509 -in", "PRIVATE KEY"),
    "OpenSSH key": (EC.private_bytes(PEM, FORM.OpenSSH, PLAIN), "openssh-key", "BEGIN CERTIFICATE", "ssh-keygen -p"),
    "OpenSSH public key": (
        PUBLIC.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
        "public-key",
        "BEGIN CERTIFICATE",
        "PRIVATE KEY",
    ),
    "public key": (PUBLIC.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo), "public-key", "CERTIFICATE", "PRIVATE KEY"),
    "public key, DER": (PUBLIC.public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo), "public-key", "CERTIFICATE", "PRIVATE"),
    "RSA public key": (RSA.public_key().public_bytes(DER, serialization.PublicFormat.PKCS1), "public-key", "CERTIFICATE", "PRIVATE KEY"),
    "encrypted key": (EC.private_bytes(PEM, FORM.PKCS8, SEALED), "encrypted-key", "BEGIN CERTIFICATE", "openssl pkey -in"),
    "encrypted key, DER": (EC.private_bytes(DER, FORM.PKCS8, SEALED), "encrypted-key", "BEGIN CERTIFICATE", "openssl pkey -in"),
    "encrypted key, old form": (RSA.private_bytes(PEM, FORM.TraditionalOpenSSL, SEALED), "encrypted-key", "CERTIFICATE", "openssl pkey"),
    "request": (request().public_bytes(PEM), "request", "create-certificate-from-csr", "PRIVATE KEY"),
    "request, DER": (request().public_bytes(DER), "request", "create-certificate-from-csr", "PRIVATE KEY"),
    "DSA key": (dsa.generate_private_key(1024).private_bytes(PEM, FORM.TraditionalOpenSSL, PLAIN), "dsa-key", "CERTIFICATE", "ecparam"),
    "PuTTY key": (b"PuTTY-User-Key-File-3: ecdsa-sha2-nistp256\nEncryption: none\n", "putty-key", "BEGIN CERTIFICATE", "puttygen"),
    "Java key store": (b"\xfe\xed\xfe\xed\0\0\0\2", "java-keystore", "keytool", "keytool"),
    "ZIP": (b"PK\x03\x04\x14\0", "zip", "unzip", "unzip"),
    "web page": (b"\n<!DOCTYPE html><html><title>403</title></html>", "page", "curl", "again"),
    "PGP": (b"-----BEGIN PGP MESSAGE-----\nVersion: 1\n\nxx=\n-----END PGP MESSAGE-----\n", "pgp", "gpg", "gpg"),
    "CRL": (b"-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n", "crl", "BEGIN CERTIFICATE", "PRIVATE KEY"),
}


TEXTS = ("byte-order mark", "PowerShell >", "literal backslash n", "CRLF", "indented")


@pytest.mark.parametrize(
    ("what", "form"),
    [
        (what, form)
        for what, (data, kind, *_) in OTHERS.items()
        for form in ("as it was", *(TEXTS if data.startswith(b"-----BEGIN") and kind != "pgp" else ()))
    ],
)
def test_what_is_something_else_is_named_with_the_command_that_helps(what: str, form: str) -> None:
    data, kind, as_certificate, as_key = OTHERS[what]
    for wanted, help_ in ((read.certificates, as_certificate), (read.key, as_key)):
        with pytest.raises(Unreadable) as caught:
            wanted(FORMS[form](data))
        assert caught.value.kind is not None and caught.value.kind.name == kind
        assert help_ in caught.value.hint("my file.pem") and caught.value.kind.what in str(caught.value)


def test_certificate_and_key_in_each_others_place_are_named() -> None:
    for data in (*KEYS.values(), *(FORMS["DER"](k) for k in KEYS.values())):
        with pytest.raises(Unreadable, match="holds a private key, and a certificate is needed"):
            read.certificates(data)
    with pytest.raises(Unreadable, match="holds a certificate, and a private key is needed"):
        read.key(CERT)


def test_pkcs7_and_the_answer_of_create_keys_and_certificate_hold_what_they_hold() -> None:
    for encoding in (PEM, DER):
        assert read.certificates(pkcs7.serialize_certificates([LEAF], encoding)) == [LEAF.public_bytes(DER)]
    answer = {
        "certificatePem": CERT.decode(),
        "keyPair": {"PublicKey": OTHERS["public key"][0].decode(), "PrivateKey": KEYS["rsa-TraditionalOpenSSL"].decode()},
    }
    data = json.dumps(answer, indent=4).encode()
    assert read.certificates(data) == [LEAF.public_bytes(DER)] and read.key(data).label == "RSA PRIVATE KEY"


@pytest.mark.parametrize("what", [*OTHERS, "a key"])
def test_trust_check_says_the_same(what: str) -> None:
    data = KEYS["ec-PKCS8"] if what == "a key" else OTHERS[what][0]
    with pytest.raises(Unreadable) as caught:
        read.certificates(data)
    found = examine_bytes(data, "some.pem", load_roots())
    assert found.error is not None and str(caught.value) in found.error and found.hint == caught.value.hint("some.pem")


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", b"\xff\xfe", b"\0" * 40, b"hello", CERT.replace(b"-----", b"---"), CERT[:300], b"\xff\xfea", b"MII" * 40]
)
def test_what_is_nothing_is_one_sentence(data: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read.certificates(data)
    assert str(caught.value).startswith("it") and caught.value.hint("x")


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.builds(lambda a, b, c: a[: b % len(a)] + c + a[b % len(a) :], st.sampled_from(
    [CERT, *KEYS.values(), *(data for data, *_ in OTHERS.values())]), st.integers(0, 5000), st.binary(max_size=20))))  # fmt: skip
def test_whatever_the_bytes_the_reader_says_what_they_are(data: bytes) -> None:
    for role in (CERTIFICATE, KEY):
        try:
            found = read.wanted(read.blocks(data), role)
        except Unreadable as error:
            assert str(error).isprintable() and error.hint("f").isprintable()
        else:
            assert found and all(each.kind.role == role for each in found)


def test_the_commands_do_what_they_promise(tmp_path: Path) -> None:
    """Where the tool is here, the command is run, and its result is the certificate or the key."""
    cases = {"X509 CERTIFICATE": CERTIFICATE, "TRUSTED CERTIFICATE": CERTIFICATE, "encrypted key": KEY, "OpenSSH key": KEY, "PKCS#12": KEY}
    for what, role in cases.items():
        data, name, *_ = OTHERS[what]
        file = tmp_path / f"my {name}.pem"
        file.write_bytes(data)
        file.chmod(0o600)
        kind = next(kind for kind in kinds.KINDS if kind.name == name)
        command = kind.help(role, str(file))
        if shutil.which(command.split()[0]) is None:
            continue
        command = command.replace("openssl pkcs12", "openssl pkcs12 -passin pass:secret").replace(
            "openssl pkey", "openssl pkey -passin pass:secret"
        )
        subprocess.run(command, shell=True, check=True, capture_output=True, timeout=20)
        made = next((f for f in tmp_path.iterdir() if f.stem.startswith(f"my {name}.")), file)
        found = read.wanted(read.blocks(made.read_bytes()), role)
        assert len(found) == 1
        if role == CERTIFICATE:
            assert found[0].der == LEAF.public_bytes(DER)
        else:
            key = serialization.load_pem_private_key(read.encode(found[0].label, found[0].der), None)
            assert key_pem(key) == key_pem(EC)  # type: ignore[arg-type]


def test_two_keys_are_not_one() -> None:
    with pytest.raises(Unreadable, match="2 private keys"):
        read.key(KEYS["ec-PKCS8"] + KEYS["rsa-PKCS8"])


def test_what_follows_the_end_of_the_data_is_damage() -> None:
    """As where two files were joined without the lines between them."""
    certificate, key = read.blocks(CERT)[0], read.key(KEYS["ec-PKCS8"])
    with pytest.raises(Unreadable, match="damaged"):
        read.certificates(read.encode(certificate.label, certificate.der + b"\0"))
    with pytest.raises(Unreadable, match="damaged"):
        read.key(read.encode(key.label, key.der + b"\0"))

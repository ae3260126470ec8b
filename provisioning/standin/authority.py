"""The test certificate authorities: made once per state folder, kept there, so that a restart has the same roots.

Like the real ones: RSA 2048 roots that outlive their devices, an intermediate that signs servers, a CA of the account for clients.
Intermediates and everything below use EC P-256, which a start can afford to make.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provisioning.errors import StationError
from provisioning.standin.routes import ROUTES
from provisioning.standin.state_folder import State, write

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KeyKind = Literal["ec", "rsa"]

# The dates of Amazon Root CA 1: so far back and so far ahead that a device's clock error shows as what it is.
BEGINS = datetime(2015, 5, 26, tzinfo=timezone.utc)
ENDS = datetime(2038, 1, 17, tzinfo=timezone.utc)
ORGANIZATION = "twinroot cloud stand-in, for tests only"
CLIENT_CA = "ClientCA"
CONTROL_CA = "ControlPlaneCA"


def new_key(kind: KeyKind) -> Key:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION), x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: Key) -> bytes:
    """The private key as unencrypted PKCS #8: only for files of mode 0600."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@dataclass(frozen=True)
class TestAuthority:
    """A certificate and its key: a CA, or a leaf that a scenario makes play one."""

    certificate: x509.Certificate
    key: Key

    @property
    def name(self) -> x509.Name:
        return self.certificate.subject

    @property
    def sha256(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()


def _usage(*, ca: bool, rsa_key: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=not ca and rsa_key,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def certify(
    name: x509.Name,
    key: Key,
    issuer: TestAuthority | None,
    *,
    begins: datetime,
    ends: datetime,
    ca: bool = False,
    dns: Iterable[str] = (),
    addresses: Iterable[str] = (),
    client: bool = False,
) -> TestAuthority:
    """A certificate for `key`, signed by `issuer`, or by itself when there is none."""
    signing_key = issuer.key if issuer else key
    authority = issuer.certificate.public_key() if issuer else key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.name if issuer else name)
        .public_key(key.public_key())
        .serial_number(secrets.randbits(127) | 1 << 126)
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(_usage(ca=ca, rsa_key=isinstance(key, rsa.RSAPrivateKey)), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(cast("ec.EllipticCurvePublicKey", authority)), critical=False)
    )
    if not ca:
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    names: list[x509.GeneralName] = [x509.DNSName(entry) for entry in dns]
    names += [x509.IPAddress(ipaddress.ip_address(entry)) for entry in addresses]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return TestAuthority(builder.sign(signing_key, hashes.SHA256()), key)


# RFC 8017 appendix A.2.4: sha256WithRSAEncryption and sha1WithRSAEncryption, which differ in their last byte.
_SHA256_RSA = bytes.fromhex("06092a864886f70d01010b")
_SHA1_RSA = bytes.fromhex("06092a864886f70d010105")


def weakened(leaf: TestAuthority, issuer: TestAuthority) -> TestAuthority:
    """`leaf` signed with SHA-1 by its RSA `issuer`: libraries that make certificates refuse to, so it is patched and signed by hand."""
    if not isinstance(issuer.key, rsa.RSAPrivateKey):
        raise TypeError("SHA-1 certificates need an RSA issuer")
    body = leaf.certificate.tbs_certificate_bytes.replace(_SHA256_RSA, _SHA1_RSA)
    signature = issuer.key.sign(body, padding.PKCS1v15(), hashes.SHA1())
    whole = leaf.certificate.public_bytes(serialization.Encoding.DER).replace(_SHA256_RSA, _SHA1_RSA)
    return TestAuthority(x509.load_der_x509_certificate(whole[: -len(signature)] + signature), leaf.key)


def _is_issued_by(signer: TestAuthority, issuer: TestAuthority) -> bool:
    """False when the issuer was made anew since: same name, other key."""
    try:
        signer.certificate.verify_directly_issued_by(issuer.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


class Authorities:
    """The CAs of one state folder, loaded or made: a root and an intermediate per route, and the client CA.

    Raises StationError when the folder holds something that is not a CA of ours.
    """

    def __init__(self, state: State) -> None:
        self._folder = state / "authorities"
        self._public = state / "roots"
        self._devices = state / "devices"
        self.roots: dict[str, TestAuthority] = {}
        self.intermediates: dict[str, TestAuthority] = {}
        for route in ROUTES:
            root = self.obtain(route.root, route.common_name, kind="rsa")
            self.roots[route.name] = root
            self.intermediates[route.name] = self.obtain(f"{route.root}-intermediate", f"{route.common_name}, intermediate", issuer=root)
        self.clients = self.obtain(CLIENT_CA, "Stand-in client CA")
        self.root_files = {route.root: self._publish(route.root, self.roots[route.name]) for route in ROUTES}
        self.client_ca_file = self._publish(CLIENT_CA, self.clients)

    def control_plane(self, host: str) -> tuple[Path, TestAuthority]:
        """The CA file of the control plane, which signs nothing else, and the certificate of its server at the address `host`."""
        signer = self.obtain(CONTROL_CA, "Stand-in control plane CA")
        begins = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=1)
        server = certify(
            subject("control plane"),
            new_key("ec"),
            signer,
            begins=begins,
            ends=begins + timedelta(days=396),
            dns=["localhost"],
            addresses=[host],
        )
        return self._publish(CONTROL_CA, signer), server

    def _publish(self, name: str, signer: TestAuthority) -> Path:
        content = pem(signer.certificate)
        path = self._public / f"{name}.pem"
        if path.is_file() and path.read_bytes() == content:
            return path
        return write(path, content)

    def obtain(
        self, name: str, common_name: str, *, issuer: TestAuthority | None = None, kind: KeyKind = "ec", like: x509.Name | None = None
    ) -> TestAuthority:
        """The CA kept under `name`; made on first use. `like`: the subject it takes over from another."""
        path = self._folder / f"{name}.pem"
        if path.is_file():
            signer = self._load(path)
            if issuer is None or _is_issued_by(signer, issuer):
                return signer
        key = new_key(kind)
        signer = certify(like or subject(common_name), key, issuer, begins=BEGINS, ends=ENDS, ca=True)
        # One file for both, so that no power cut leaves a key without its certificate.
        write(path, pem(signer.certificate) + key_pem(key), 0o600)
        return signer

    def _load(self, path: Path) -> TestAuthority:
        try:
            content = path.read_bytes()
            certificate = x509.load_pem_x509_certificate(content)
            key = serialization.load_pem_private_key(content, None)
        except (OSError, ValueError, TypeError) as error:
            raise StationError(
                "cloud-state", f"{path} is not a certificate authority of the cloud stand-in.", "Remove that file; it is made again."
            ) from error
        if key.public_key() != certificate.public_key() or not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
            raise StationError("cloud-state", f"The key in {path} is not its certificate's.", "Remove that file; it is made again.")
        return TestAuthority(certificate, key)

    def sign(self, request: str) -> str:
        """The client certificate for a PEM certificate signing request. Raises ValueError for one that is not, or not signed by its key."""
        csr = x509.load_pem_x509_csr(request.encode())
        if not csr.is_signature_valid:
            raise ValueError("it is not signed by its own key")
        begins = datetime.now(timezone.utc).replace(second=0, microsecond=0) - timedelta(days=1)
        builder = (
            x509.CertificateBuilder(self.clients.name, csr.subject, csr.public_key())
            .serial_number(secrets.randbits(127) | 1 << 126)
            .not_valid_before(begins)
            .not_valid_after(ENDS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(ca=False, rsa_key=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        )
        return pem(builder.sign(self.clients.key, hashes.SHA256())).decode()

    def issue(self, device: str) -> tuple[Path, Path]:
        """A client certificate for `device` and its key, as files; the same ones when asked again."""
        certificate, key_file = self._devices / f"{device}.crt.pem", self._devices / f"{device}.key.pem"
        if certificate.is_file() and key_file.is_file():
            return certificate, key_file
        key = new_key("ec")
        # To the minute: a device takes the start of its certificate as a time that has passed for certain.
        begins = datetime.now(timezone.utc).replace(second=0, microsecond=0) - timedelta(days=1)
        signer = certify(subject(device), key, self.clients, begins=begins, ends=ENDS, client=True)
        write(key_file, key_pem(key), 0o600)
        write(certificate, pem(signer.certificate))
        return certificate, key_file

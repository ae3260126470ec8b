"""The identities of a product's devices, as its `identity.issue` block asks for them; and a factory CA to begin with."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from pathlib import Path
from shlex import quote
from typing import Any

from provisioning.config.device import Device
from provisioning.config.document import shown, wrong
from provisioning.config.product import IssuePolicy, Product
from provisioning.config.text_file import is_file
from provisioning.config.unit import client_id, files
from provisioning.errors import FileMissing, InputError
from provisioning.identity.files import KEY_MODE, PUBLIC_MODE, discard_key, lay_aside, write_new
from provisioning.identity.issue import Issued, issue
from provisioning.identity.keys import KeyKind, make_key, to_pem
from provisioning.identity.pair import leaf_of
from provisioning.identity.pkcs11 import from_token
from provisioning.identity.signer import Authority, from_command, from_files
from provisioning.identity.subject import check_name

CA_CERTIFICATE = "ca.crt.pem"
CA_KEY = "ca.key.pem"
_CA_DAYS = 7305


def authority(product: Product, *, first: bool = False) -> Authority | None:
    """The CA that the product names; None where it names none. `first`: where identities are made beforehand, by whoever may make a CA as
    well; the hint says how. At a bench another CA would be one that no cloud knows. Raises InputError with the product's line."""
    policy = product.identity.issue
    if policy is None:
        return None
    try:
        if policy.ca_key is not None:
            return from_files(policy.ca, policy.ca_key)
        if policy.pkcs11 is not None:
            return from_token(policy.ca, policy.pkcs11)
        env = {name: text.reveal() for name, text in policy.env.items()}
        return from_command(policy.ca, policy.signer, env, product.folder)
    except InputError as error:
        key = "ca_key" if error.file is not None and error.file == policy.ca_key else "ca"
        hint = _where_the_ca_is(product, policy, first)
        raise product.document.placed(error, ("identity", "issue", key), hint if isinstance(error, FileMissing) else "") from None


def _where_the_ca_is(product: Product, policy: IssuePolicy, first: bool) -> str:
    """What to do where the CA's certificate, or its key, is not here."""
    hint = "It lies where boards are made, and the cloud knows it; only a board without an identity needs it."
    if not first or is_file(policy.ca) or policy.signer:
        return hint  # a CA is there already, or somebody else's program has its key: no command here makes another
    if policy.pkcs11 is not None:
        return f"{hint} Where there is none yet: `twinroot identity ca --product {quote(str(product.source))}`."
    here = policy.ca_key == policy.ca.with_name(CA_KEY) and policy.ca.name == CA_CERTIFICATE
    folder = quote(str(policy.ca.parent)) if here else "DIR"
    names = "" if here else f", and `ca: DIR/{CA_CERTIFICATE}`, `ca_key: DIR/{CA_KEY}`"
    return f"{hint} Where there is none yet: `twinroot identity ca --out {folder}`{names}."


def ensure_identity(product: Product, device: Device, ca: Authority | None = None) -> Issued | None:
    """Make what `device` lacks of its identity; None where the product's files come from elsewhere.

    `ca`: from `authority`, so that a list of devices loads it once.

    The same device always gets the same identity back, also after a run that was cut off between key and certificate.
    """
    policy = product.identity.issue
    signer = ca or authority(product)
    if policy is None or signer is None:
        return None
    certificate, key = files(product, device)
    made = issue(device.id, certificate, key, signer, kind=policy.kind, days=policy.days, chain=policy.chain)
    check_name(made.pair.name, device, client_id(product, device), certificate)
    return made


def forget_key(product: Product, device: Device) -> bool:
    """After the device's own report said PASS: remove the key that was made here, unless the product keeps keys.

    True where one was removed.
    """
    policy = product.identity.issue
    return policy is not None and not policy.keep_key and discard_key(files(product, device)[1])


def is_spent(product: Product, device: Device) -> bool:
    """Whether the device's certificate was made here and its key has left: it is on a board that passed."""
    certificate, key = files(product, device)
    return product.identity.issue is not None and is_file(certificate) and not is_file(key)


def can_make(product: Product, device: Device) -> bool:
    """Whether all that the device's board needs is here, or is still to be made."""
    certificate, key = files(product, device)
    return is_file(key) or (product.identity.issue is not None and not is_file(certificate))


def fingerprint_here(product: Product, device: Device) -> str | None:
    """SHA-256 of the DER of the device's certificate, None where it is not here. Raises InputError when it is not a certificate."""
    certificate = files(product, device)[0]
    return hashlib.sha256(leaf_of(certificate)).hexdigest() if is_file(certificate) else None


def retire(product: Product, device: Device, gone: Collection[str] | None) -> list[str]:
    """Lay the device's certificate and key aside when the certificate is among `gone` (fingerprints; None: in any case), so that the next
    one is made; returns the fingerprint. Raises InputError where it is not made here, StationError when the files cannot be renamed.

    Nothing is deleted: each gets the beginning of the fingerprint into its name. The key goes first, so that a run which was cut off
    leaves a certificate that is retired again, never a key that a new certificate would be made for.
    """
    found = fingerprint_here(product, device)
    if found is None or (gone is not None and found not in gone):
        return []
    if product.identity.issue is None:
        if gone is None:
            return []  # the files that are here are the new ones
        raise product.error(
            ("identity", "certificate"),
            "certificate-retired",
            f"the certificate of {device.id} (SHA-256 {found[:16]}…) was retired with the board that was released",
            "Put a new certificate and its key in their place.",
        )
    for path in reversed(files(product, device)):
        lay_aside(path, f"retired-{found[:16]}")
    return [found]


def check_pin(product: Product) -> None:
    """Whether the token that the product names takes its PIN: asked once, before the first board. Raises StationError."""
    policy = product.identity.issue
    if policy is not None and policy.pkcs11 is not None:
        from provisioning.identity.pkcs11 import check_pin as ask

        ask(policy.pkcs11)


def make_ca(name: str, folder: Path, kind: KeyKind = "p256", days: int = _CA_DAYS) -> tuple[Path, Path]:
    """A self-signed factory CA in `folder`: certificate and key (0600). Raises InputError where one is there already."""
    key = make_key(kind)
    paths = folder / CA_CERTIFICATE, folder / CA_KEY
    made = _self_signed(name, key, days)
    write_new(paths[1], to_pem(key), KEY_MODE)
    write_new(paths[0], made, PUBLIC_MODE)
    return paths


def make_token_ca(product: Product, name: str, days: int = _CA_DAYS) -> Path:
    """The self-signed certificate of the CA whose key is in the product's token, where `identity.issue.ca` names it.

    Raises InputError where the product names no token or the certificate is there already, StationError for the token.
    """
    policy = product.identity.issue
    if policy is None or policy.pkcs11 is None:
        raise product.error(
            ("identity",),
            "no-token",
            "names no token",
            "Write `issue: {ca: …, pkcs11: {module: …, token: …, pin: …}}`; docs/yaml.md shows it.",
        )
    from provisioning.identity.pkcs11 import key_of

    if policy.ca.exists():
        raise wrong("file-exists", f"{shown(policy.ca)}: is there already", "Nothing is overwritten: what the cloud knows would be lost.")
    write_new(policy.ca, _self_signed(name, key_of(policy.pkcs11), days), PUBLIC_MODE)
    return policy.ca


def _self_signed(name: str, key: Any, days: int) -> bytes:
    """A CA certificate of `key`, which signs it: PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc).replace(microsecond=0)
    usage = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return signed.public_bytes(Encoding.PEM)

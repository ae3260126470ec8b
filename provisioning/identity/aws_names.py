"""Certificate and key files as AWS IoT's console names them: by the certificate, not by the device.

3fa9…-certificate.pem.crt    3fa9…-private.pem.key    3fa9…-public.pem.key
"""

from __future__ import annotations

from pathlib import Path

from provisioning.config.document import shown

CERTIFICATE, KEY = "-certificate.pem.crt", "-private.pem.key"
_MANY = 200  # files looked at in one folder


def hint(certificate: Path, key: Path, root: Path) -> str:
    """What to do where `certificate` or `key` is not there and files of AWS's are near: the commands for one pair, the pattern for several.
    Empty where there are none."""
    for folder in dict.fromkeys((certificate.parent, key.parent, certificate.parent / certificate.name.split(".")[0], root)):
        found = _pairs(folder)
        if len(found) == 1:
            stem = found[0]
            return (
                f"AWS names its files by the certificate; if these are the device's: mv {shown(folder / f'{stem}{CERTIFICATE}')} "
                f"{shown(certificate)} && mv {shown(folder / f'{stem}{KEY}')} {shown(key)}"
            )
        if found:
            where = _relative(folder, root)
            return (
                f"{shown(folder)} has {len(found)} pairs that AWS named by the certificate ({found[0][:12]}… is one). "
                f'Write certificate: "{where}{{aws}}{CERTIFICATE}", key: "{where}{{aws}}{KEY}", and a column `aws` in the list of devices.'
            )
    return ""


def _pairs(folder: Path) -> list[str]:
    """The common beginnings of complete pairs in `folder`, sorted."""
    try:
        names = {entry.name for _, entry in zip(range(_MANY), folder.iterdir(), strict=False)}
    except OSError:
        return []
    return sorted(stem for name in names if name.endswith(CERTIFICATE) and f"{(stem := name.removesuffix(CERTIFICATE))}{KEY}" in names)


def _relative(folder: Path, root: Path) -> str:
    try:
        text = folder.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        text = folder.as_posix()
    return "" if text == "." else f"{text}/"

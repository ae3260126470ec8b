"""`python -m tests.bench.register [COUNT]`: COUNT devices (50,000) registered within AWS's quotas, the program killed half way.

The account is a server on this computer: HTTPS, verified, answers after 50 to 150 ms, throttling as AWS documents it. 50,000 take some
70 minutes.
Exit code 1 when something is missing, was made twice or was throttled.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.aws.conftest import PRODUCT
from tests.support.aws_registry import Registry
from tests.support.command import twinroot_command

LATENCY = (0.05, 0.15)  # seconds: AWS from a computer on the same continent
ONCE = ("CreateThing", "CreateCertificateFromCsr", "AttachPolicy", "AttachThingPrincipal")


def _devices(folder: Path, count: int) -> Path:
    file = folder / "devices.csv"
    file.write_text("device\n" + "".join(f"ws-{n:05}\n" for n in range(1, count + 1)))
    return file


def _problems(account: Registry, folder: Path, count: int) -> list[str]:
    tied = [arn.rpartition("/")[2] for arns in account.things.values() for arn in arns]
    checks = {
        f"{len(account.things)} things": len(account.things) == count,
        f"{len(set(tied))} things with a certificate, {len(tied)} ties": len(set(tied)) == len(tied) == count,
        "a certificate's file is missing here": sum(1 for _ in folder.glob("devices/*.crt.pem")) == count,
        f"{len(account.certificates)} certificates": len(account.certificates) == count,
        f"throttled: {dict(account.throttled)}": not account.throttled,
        f"wrong requests: {account.wrong[:3]}": not account.wrong,
    }
    return [text for text, holds in checks.items() if not holds]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=50_000)
    count = parser.parse_args().count

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "product.yaml").write_text(PRODUCT)
        csv = _devices(folder, count)
        account = Registry(folder, LATENCY, quotas=True)
        aside = {"AWS_CONFIG_FILE": str(folder / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none")}
        environment = {**os.environ, **account.environment(), **aside}
        command = [*twinroot_command(), "aws", "register", str(folder / "product.yaml"), "--devices", str(csv), "--region", "us-east-1"]
        began = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with account.lock:
            account.made.wait_for(lambda: len(account.certificates) >= count // 2 or process.poll() is not None)
        process.kill()
        process.wait()
        half, first = len(account.things), time.monotonic() - began
        print(f"killed after {first:.0f} s: {half} things", flush=True)
        began = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        second = time.monotonic() - began
        account.close()
        again = {name: account.requests[name] - count for name in ONCE}
        work = used.ru_utime + used.ru_stime
        print(f"the same command again: exit code {process.returncode} after {second:.0f} s, {work:.0f} s of processor, ", end="")
        print(f"{used.ru_maxrss / 1024:.0f} MB; {len(account.things)} things, {count / (first + second):.1f} devices a second in all")
        print(f"asked more often than once a device: {again}; requests: {dict(account.requests)}")
        problems = _problems(account, folder, count)
        print("\n".join(problems) or "all there, each once", flush=True)
        return 1 if problems or process.returncode else 0


if __name__ == "__main__":
    sys.exit(main())

"""`twinroot dashboard`: the ledger as a live page, for a second screen and for supervisors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioning.cli import _options as option
from provisioning.cli._options import PATH
from provisioning.cli._output import emit, say
from provisioning.errors import InputError, StationError

if TYPE_CHECKING:
    import ssl


@click.command()
@option.ledger
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on; another than this computer's own wants a token."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8471, show_default=True, help="0 takes a free one.")
@click.option(
    "--token-file", type=PATH, help="The token that opens the page, made where there is no such file; default TWINROOT_DASHBOARD_TOKEN."
)
@click.option("--certificate", type=PATH, help="For https: the server's certificate and its chain, PEM; with --key.")
@click.option("--key", type=PATH, help="For https: the key of the certificate, PEM.")
@click.option("--hours", type=click.IntRange(1, 168), default=24, show_default=True, help="How far back the page looks.")
def command(
    location: str | None, host: str, port: int, token_file: Path | None, certificate: Path | None, key: Path | None, hours: int
) -> int:
    """A live page of the ledger: yield by hour, failures by code, every slot of every station, search. It only reads.

    It runs until it is stopped (control-C, SIGTERM). Without a token it is for this computer alone.
    """
    from provisioning.dashboard.access import VARIABLE, is_loopback, token_of
    from provisioning.dashboard.feed import Feed
    from provisioning.dashboard.server import Dashboard
    from provisioning.ledger.store import Ledger

    tls = _tls(certificate, key)
    address = _address(host)
    token = token_of(token_file)
    if token is None and not is_loopback(address):
        raise InputError(
            "token-wanted",
            f"The page on {address} can be seen by others, and no token protects it.",
            f"Give --token-file FILE, which is made where it is not there, or set {VARIABLE}.",
        )

    def open_ledger() -> Ledger:
        return Ledger.open(location, create=False)

    with open_ledger() as ledger:  # one that is not there, or away, is said at once
        name = ledger.location
        ledger.require_form()
    feed = Feed(open_ledger, hours)
    try:
        server = Dashboard((address, port), feed, open_ledger, name, token, tls)
    except OSError as error:
        raise StationError(
            "address-taken", f"The page cannot listen on {address}, port {port}: {error.strerror}.", "Give another --port, or --host."
        ) from None
    shown = f"[{address}]" if ":" in address else address
    url = f"{'https' if tls else 'http'}://{shown}:{server.server_port}/"
    if token is not None and tls is None and not is_loopback(address):
        say("Without --certificate the token and the page cross the network as everybody there can read them.")
    feed.start()
    try:
        emit({"url": url, "ledger": name, "token": token is not None, "hours": hours}, f"{url}  (control-C stops it)")
        server.serve_forever(0.5)
    except KeyboardInterrupt:
        say("Stopped.")
    finally:
        server.server_close()
        feed.stop()
    return 0


def _address(host: str) -> str:
    """The address that a name has. Raises InputError."""
    import socket

    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][4][0])
    except (OSError, UnicodeError):
        raise InputError(
            "bad-address", f"--host {host[:80]} is not an address of this computer.", "127.0.0.1 is for this computer alone."
        ) from None


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None and key is None:
        return None
    import ssl

    if certificate is None or key is None:
        raise InputError("bad-arguments", "--certificate and --key belong together.", "Give both, or neither.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError) as error:  # SSLError is an OSError
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or "not PEM"
        raise InputError(
            "bad-certificate",
            f"{certificate} and {key} cannot be used for https: {why}.",
            "Give PEM files of one certificate and its key, which has no passphrase.",
        ) from None
    return context

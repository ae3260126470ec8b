"""`twinroot flash PRODUCT.yaml`: a blank board to PASS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioning.cli._output import emit, say
from provisioning.cli._port import finish, one_device, port_option, progress
from provisioning.cli.ledger import ledger_option

if TYPE_CHECKING:
    from provisioning.config.device import Device
    from provisioning.config.product import Product
    from provisioning.flash.efuse import Mode


@click.command()
@click.argument("product", type=click.Path(path_type=Path))
@port_option
@click.option("--device", "device_id", metavar="ID", help="The unit: a name for the product file's {device}, or a row of its CSV.")
@click.option("--devices", type=click.Path(path_type=Path), help="A CSV; the board gets the row it had before, or the first free one.")
@click.option("--baud", type=int, metavar="RATE", help="Exactly this rate; by default the highest that works is found and remembered.")
@click.option("--allow", type=click.Path(path_type=Path), help="A list of MACs, one a line; every other board is refused.")
@click.option("--efuses", is_flag=True, help="Only show the chip's security fuses. Reads, and writes nothing.")
@click.option(
    "--burn-efuses", type=click.Choice(["development", "release"]), help="Burn flash encryption into the chip, for ever. Asks first."
)
@click.option("--efuse-key", type=click.Path(path_type=Path), help="For --burn-efuses: the flash key, 32 bytes.")
@click.option("--nvs-key", type=click.Path(path_type=Path), help="For --burn-efuses: also an HMAC key for NVS encryption, 32 bytes.")
@ledger_option
def command(
    product: Path,
    port: str | None,
    device_id: str | None,
    devices: Path | None,
    baud: int | None,
    allow: Path | None,
    efuses: bool,
    burn_efuses: Mode | None,
    efuse_key: Path | None,
    nvs_key: Path | None,
    location: str | None,
) -> int:
    """Firmware, partition table and file system in one session; then the board starts, and its own report ends the run.

    Refused before the first write: wrong chip, revision or flash size, a locked chip, a board or device that the ledger knows otherwise,
    a firmware file that is not the one the board file means.
    """
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose
    from provisioning.job.allow import allowed_macs
    from provisioning.job.flash import Options, Plan, flash, one_of
    from provisioning.ledger.opening import Opening

    loaded = load_product(product)
    if efuses or burn_efuses:
        return _fuses(loaded, port, burn_efuses, {"key": efuse_key, "nvs": nvs_key})
    units: list[Device] = choose(loaded, device_id, devices) if devices else [one_device(loaded, device_id)]
    plan = Plan.of(loaded)
    if len(units) == 1:
        one_of(plan, units[0])
    options = Options(allowed=allowed_macs(allow, units), baud=baud)
    with Opening(location) as ledger, progress() as events:
        report = flash(plan, units, port, ledger, options, events)
    return finish(report)


def _fuses(product: Product, port: str | None, mode: Mode | None, keys: dict[str, Path | None]) -> int:
    """Show the fuses; with a mode, what would be burned, and burn it when the sentence is typed."""
    from provisioning.errors import InputError
    from provisioning.flash import efuse, work
    from provisioning.flash.line import open_line
    from provisioning.link.port import resolve

    device = resolve(port)
    log = work.log_file("efuses")
    with open_line(product.board, device, log) as line:
        facts = line.examine(None).facts
        line.start()
    where = efuse.Where(facts.chip, device)
    given = {name: path for name, path in keys.items() if path is not None}
    if mode is not None:
        for path in given.values():
            if not path.is_file() or path.stat().st_size != 32:
                raise InputError("bad-key", f"{path} is not a file of 32 bytes.", "espsecure generate-flash-encryption-key makes one.")
        if "key" not in given:
            raise InputError("no-key", "Flash encryption needs a key that you keep.", "Add --efuse-key FILE.")
        steps = efuse.plan(facts.chip, mode, nvs="nvs" in given)
        say(f"To be burned into {facts.mac} ({facts.chip} {facts.revision_text}), and never to be taken back:")
        for step in steps:
            say(f"  {step.what}: {' '.join(step.arguments)}")
        say("Stock MicroPython is not encrypted and will not start on this chip afterwards; only images encrypted with this key will.")
        typed = click.prompt(f"Type '{efuse.sentence(facts.mac)}'", default="", show_default=False, err=True)
        efuse.burn(where, steps, given, facts.mac, typed, log)
    found = efuse.summary(where, log)
    emit({"mac": facts.mac, "chip": facts.chip, "fuses": found}, "\n".join(f"{name:<30}{value}" for name, value in found.items()))
    return 0

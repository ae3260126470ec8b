"""What `twinroot check` says about a product that is good."""

from __future__ import annotations

from typing import Any

from provisioning.config.product import Product
from provisioning.config.text_file import is_file
from provisioning.config.unit import needs_device
from provisioning.trust.providers import PROVIDERS


def summary(product: Product, devices: dict[str, str]) -> dict[str, Any]:
    """The product as plain JSON values; nothing secret among them. `devices`: those that were checked -> where the identity is."""
    return {
        "outcome": "pass",
        "product": product.name,
        "version": product.version,
        "board": product.board.name,
        "chip": product.board.chip,
        "provider": product.provider,
        "user": PROVIDERS[product.provider].user.replace("{host}", product.routes[0].host) if product.provider else "",
        "routes": [{"name": r.name, "endpoint": r.host, "port": r.port, "roots": list(r.roots)} for r in product.routes],
        "roots": {name: root.sha256 for name, root in product.roots.items()},
        "wifi": None if product.wifi is None else {"ssid": str(product.wifi.ssid), "password": str(product.wifi.password)},
        "time": list(product.time_servers),
        "lab": dict(product.lab_resolve),
        "app": sorted(product.app),
        "devices_checked": list(devices),
        "identities": devices,
        "list_missing": product.devices is not None and not is_file(product.devices),
        "identity_checked": bool(devices) or not needs_device(product),
    }


def text(made: dict[str, Any]) -> str:
    """`made` (of `summary`) for people."""
    lines = [f"{made['product']} version {made['version']} on {made['board']} ({made['chip']}): good"]
    for number, route in enumerate(made["routes"], 1):
        lines.append(f"  route {number} {route['name']}: {route['endpoint']}:{route['port']}, anchored by {' or '.join(route['roots'])}")
    if made["user"]:
        lines.append(f"  MQTT user name: {made['user']}, for twinroot.mqtt(user=…)")
    if made["lab"]:
        lines.append(f"  LAB: {len(made['lab'])} address(es) are redirected; not for devices that leave the bench")
    if made["wifi"]:
        lines.append(f"  wifi: {made['wifi']['ssid']}, password {made['wifi']['password']}")
    if made["app"]:
        lines.append(f"  app: {', '.join(made['app'])} will be written")
    if made["devices_checked"]:
        lines.append(f"  devices: {len(made['devices_checked'])} checked")
        for where in dict.fromkeys(made["identities"].values()):
            names = [name for name, at in made["identities"].items() if at == where]
            lines.append(f"    {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {where}")
    elif not made["identity_checked"]:
        lines.append("  certificates and keys: not checked; add --device ID or --devices CSV")
    if made["list_missing"]:
        lines.append("  devices: the list is not here; update, verify and flash take each board as what it says it is, station needs it")
    return "\n".join(lines)

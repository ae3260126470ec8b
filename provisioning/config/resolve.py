"""From the keys of a product file to a Product: routes derived and checked, roots loaded and pinned, files found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioning.config.board_type import BoardType
from provisioning.config.document import Document, Loc, shown
from provisioning.config.nearest import did_you_mean
from provisioning.config.product import IdentityTemplates, IssuePolicy, Label, OnPass, Product, ScanRule, Token, WifiAccess, wrong_length
from provisioning.config.template import fields_of
from provisioning.config.text_file import is_file
from provisioning.errors import FileMissing, InputError
from provisioning.trust.endpoint import classify, provider_of
from provisioning.trust.roots import Root, WrongPin, load_pinned, load_roots
from provisioning.trust.routes import PHASES, Route, WrongRoots, check, derive

if TYPE_CHECKING:
    from provisioning.config.product_file import ProductFile

_HTTPS_PORT = 443


def resolve(raw: ProductFile, document: Document, board: BoardType) -> Product:
    """Raises InputError with file, line and key for whatever does not fit together."""
    known = _roots(raw, document)
    bench = _lab_roots(raw, document, known)
    located = _routes(raw, document, {cls: tuple(root.name for root in roots) for cls, roots in bench.items()})
    for route, loc in located:
        _check_roots(route, loc, known, document)
        _check_endpoint(route, loc, raw, document)
    names = dict.fromkeys(name for route, _ in located for name in route.roots)
    _check_templates(raw, document)
    _check_resolve(raw, document)
    return Product(
        name=raw.product,
        version=raw.version,
        board=board,
        routes=tuple(route for route, _ in located),
        roots={name: known[name] for name in names},
        identity=IdentityTemplates(raw.identity.certificate, raw.identity.key, _issue(raw, document)),
        client_id=raw.client_id,
        provider=raw.cloud.provider or classify(located[0][0].host).provider,
        wifi=_wifi(raw, document),
        time_servers=tuple(raw.time.servers),
        return_after=raw.cloud.return_after,
        on_silence=raw.cloud.on_silence,
        retired=_retired(raw, document, known, set(names)),
        lab_resolve=dict(raw.lab.resolve),
        lab_roots=bench,
        app=_app(raw, document),
        devices=document.path.parent / raw.devices if raw.devices else None,
        scan=ScanRule(raw.scan.field, raw.scan.pattern) if raw.scan else None,
        vendor=_vendor(raw, document),
        source=document.path,
        document=document,
        label=_label(raw, document),
        on_pass=OnPass(tuple(raw.on_pass.command), raw.on_pass.timeout, dict(raw.on_pass.env)) if raw.on_pass else None,
    )


def _label(raw: ProductFile, document: Document) -> Label | None:
    made = raw.label
    if made is None:
        return None
    where = made.printer
    texts = [("qr", made.qr)] + [("printer", where)] * (isinstance(where, str) and where.startswith("file:"))
    for key, text in texts:
        try:
            fields_of(str(text or ""))
        except ValueError as error:
            raise document.error(("label", key), "bad-template", str(error), "Write {device}; a literal brace is {{ or }}.") from None
    text, sources = "", tuple[Path, ...]()
    if made.template is not None:
        file = document.path.parent / made.template
        sources = (file,)
        try:
            text = file.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not UTF-8"
            raise document.error(("label", "template"), "file-missing", f"{shown(file)} cannot be read: {why}", kind=FileMissing) from None
    printer = tuple(where) if isinstance(where, list) else where
    return Label(text, made.qr, made.format, printer, made.copies, made.timeout, made.status, sources)


def _vendor(raw: ProductFile, document: Document) -> dict[str, Any] | None:
    if raw.updates is None:
        return None
    from provisioning.pem.public_key import load_public

    try:
        return load_public(document.path.parent / raw.updates.key)
    except InputError as error:
        raise document.placed(error, ("updates", "key")) from None


def _routes(raw: ProductFile, document: Document, bench: dict[str, tuple[str, ...]]) -> list[tuple[Route, Loc]]:
    """Each route with its place in the file; `bench`: class of an endpoint -> the roots that it has on this bench."""
    cloud = raw.cloud
    if cloud.routes is None:
        assert cloud.endpoint is not None  # noqa: S101  the model asks for one of the two
        loc: Loc = ("cloud", "phase" if cloud.phase else "endpoint")
        # Where every pinned root is retired, the error is that of a retired root in use.
        pinned = tuple(name for name in raw.roots if name not in cloud.retired) or tuple(raw.roots)
        try:
            return [(route, loc) for route in derive(cloud.endpoint, cloud.port, cloud.phase, cloud.provider, pinned, bench)]
        except InputError as error:
            raise document.placed(error, loc) from None
    made: list[tuple[Route, Loc]] = []
    for index, each in enumerate(cloud.routes):
        loc = ("cloud", "routes", index)
        if any(route.name == each.name for route, _ in made):
            raise document.error((*loc, "name"), "duplicate-route", f"found {each.name!r} a second time, expected a name of its own")
        made.append((Route(each.name, each.endpoint, each.port or cloud.port, tuple(dict.fromkeys(each.roots))), loc))
    return made


def _roots(raw: ProductFile, document: Document) -> dict[str, Root]:
    known = dict(load_roots())
    for name, pinned in raw.roots.items():
        loc: Loc = ("roots", name)
        if name in known:
            raise document.error(
                loc, "root-name-taken", "is the name of a root in certs/, expected another name", "Rename it here and in the routes."
            )
        try:
            known[name] = load_pinned(name, document.path.parent / pinned.file, pinned.sha256, pinned.status)
        except InputError as error:
            raise document.placed(error, (*loc, "sha256" if isinstance(error, WrongPin) else "file")) from None
    return known


def _lab_roots(raw: ProductFile, document: Document, known: dict[str, Root]) -> dict[str, tuple[Root, ...]]:
    made: dict[str, tuple[Root, ...]] = {}
    classes = sorted({cls for classes in PHASES.values() for cls in classes})
    for cls, names in raw.lab.roots.items():
        loc: Loc = ("lab", "roots", cls)
        if cls not in classes:
            raise document.error(loc, "bad-value", f"is not one of {', '.join(classes)}", "They are the endpoints of a pair.")
        if raw.cloud.routes is not None:
            raise document.error(loc, "bad-value", "is for derived routes, and there is 'cloud.routes'", "Name the roots in the routes.")
        for index, name in enumerate(names):
            if name not in raw.roots:
                hint = did_you_mean(name, raw.roots)
                raise document.error((*loc, index), "unknown-root", f"found {name[:60]!r}, expected a root under 'roots'", hint)
        made[cls] = tuple(known[name] for name in dict.fromkeys(names))
    return made


def _retired(raw: ProductFile, document: Document, known: dict[str, Root], used: set[str]) -> dict[str, str]:
    for index, name in enumerate(raw.cloud.retired):
        loc: Loc = ("cloud", "retired", index)
        if name not in known:
            raise document.error(
                loc,
                "unknown-root",
                f"found {name[:60]!r}, expected a root of certs/ or one pinned under 'roots'",
                "A retired root stays under `roots:`: devices know it by its SHA-256.",
            )
        if name in used:
            hint = f"{_without(name, raw)}, or do not retire it yet."
            raise document.error(loc, "retired-root-used", f"{name} is a root of a route", hint)
    return {name: known[name].sha256 for name in raw.cloud.retired}


def _without(root: str, raw: ProductFile) -> str:
    """How the product gets routes without `root`."""
    if raw.cloud.routes is not None:
        return "Take it out of the route"
    if root in raw.roots:
        return "Pin its successor"
    return "Write `phase: ats-only`" if classify(raw.cloud.endpoint or "").cls in ("ats", "legacy") else "Write `routes:` without it"


def _check_roots(route: Route, loc: Loc, known: dict[str, Root], document: Document) -> None:
    for index, name in enumerate(route.roots):
        if name not in known:
            at = (*loc, "roots", index) if len(loc) > 2 else loc
            hint = did_you_mean(name, known) or f"certs/ and 'roots' have: {', '.join(known)}."
            raise document.error(at, "unknown-root", f"found {name[:60]!r}, expected a root of certs/ or one pinned under 'roots'", hint)


def _check_endpoint(route: Route, loc: Loc, raw: ProductFile, document: Document) -> None:
    at = (*loc, "endpoint") if len(loc) > 2 else loc
    endpoint = classify(route.host)
    provider = provider_of(endpoint)
    if endpoint.cls == "invalid" or (provider and endpoint.cls in provider.no_data):
        what = f"{provider.classes[endpoint.cls]} endpoint" if provider else "not a host name"
        raise document.error(
            at,
            "not-a-data-endpoint",
            f"{route.host} is {what}, expected a data endpoint",
            "`twinroot endpoint HOST` explains it.",
        )
    if raw.cloud.region and endpoint.region and endpoint.region != raw.cloud.region:
        raise document.error(
            at,
            "region-mismatch",
            f"{route.host} is in region {endpoint.region}, and 'cloud.region' says {raw.cloud.region}",
            "Correct the one that is wrong.",
        )
    if route.port == _HTTPS_PORT and provider and provider.port_443 and not (provider.without_alpn and raw.cloud.without_alpn):
        raise document.error(
            (*loc, "port") if (*loc, "port") in document.values else ("cloud", "port"),
            "needs-alpn",
            f"port 443 of {route.host} {provider.port_443}",
            "Write `port: 8883`"
            + ("; `without_alpn: true` where a domain configuration of yours goes without." if provider.without_alpn else "."),
        )
    try:
        check(route)
    except InputError as error:
        raise document.placed(error, (*loc, "roots") if isinstance(error, WrongRoots) and len(loc) > 2 else at) from None


def _check_templates(raw: ProductFile, document: Document) -> None:
    places: tuple[tuple[Loc, str], ...] = (
        (("identity", "certificate"), raw.identity.certificate),
        (("identity", "key"), raw.identity.key),
        (("client_id",), raw.client_id),
    )
    for loc, text in places:
        try:
            fields_of(text)
        except ValueError as error:
            raise document.error(loc, "bad-template", str(error), "Write {device}, {a_column}; a literal brace is {{ or }}.") from None
    if fields_of(raw.identity.certificate) and not fields_of(raw.client_id):
        raise document.error(
            ("client_id",),
            "shared-identity",
            f"is {raw.client_id[:40]!r} for every device, expected one of its own for each: AWS IoT closes the older of two connections",
            "Name a field: `client_id: '{device}'`, or leave it out.",
        )


def _check_resolve(raw: ProductFile, document: Document) -> None:
    for name, to in raw.lab.resolve.items():
        for port in (name.rpartition(":")[2], to.rpartition(":")[2]):
            if not 1 <= int(port) <= 65535:
                raise document.error(("lab", "resolve", name), "bad-value", f"found port {port}, expected a number from 1 to 65535")


def _wifi(raw: ProductFile, document: Document) -> WifiAccess | None:
    if raw.wifi is None:
        return None
    if raw.wifi.password is None and ("wifi", "password") in document.keys:
        raise document.error(
            ("wifi", "password"), "bad-wifi", "found nothing, expected a text", "For an open network leave `password` out."
        )
    for key, text in (("ssid", raw.wifi.ssid), ("password", raw.wifi.password)):
        # A text with fields is measured when they are filled in.
        problem = wrong_length(key, text) if text is not None and "{" not in text.reveal() else ""
        if problem:
            hint = "WPA2 takes passwords of 8 to 63 characters, networks names of 1 to 32."
            if key == "password" and text is not None and not text.reveal():
                hint = "For an open network leave `password` out."
            raise document.error(("wifi", key), "bad-wifi", f"found {problem}", hint)
    return WifiAccess(raw.wifi.ssid, raw.wifi.password)


def _issue(raw: ProductFile, document: Document) -> IssuePolicy | None:
    made = raw.identity.issue
    if made is None:
        return None
    folder = document.path.parent
    key = folder / made.ca_key if made.ca_key else None
    place = made.pkcs11
    token = Token(folder / place.module, place.token, place.id, place.pin) if place else None
    return IssuePolicy(
        folder / made.ca, key, token, tuple(made.signer or ()), dict(made.env), made.kind, made.days, made.keep_key, made.chain
    )


def _app(raw: ProductFile, document: Document) -> dict[str, Path]:
    made: dict[str, Path] = {}
    for key, name in (("main", raw.app.main), ("boot", raw.app.boot)):
        if name is None:
            continue
        file = document.path.parent / name
        if not is_file(file):
            raise document.error(
                ("app", key), "file-missing", f"there is no file {shown(file)}", "The path is relative to the product file.", FileMissing
            )
        made[f"{key}.py"] = file
    return made

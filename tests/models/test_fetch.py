"""Downloads against a server of our own: resumed, checked, through a proxy."""

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from safetensors.torch import save_file

from models import fetch as fetching
from models import registry
from models.fetch import fetch, plan_fetch


@dataclass
class Served:
    """A file, and how it is given. breaks: after how many bytes each of the next connections ends."""

    content: bytes
    etag: str = '"one"'
    breaks: list[int] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture(scope="module")
def content(wav2lip, tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "wav2lip.safetensors"
    save_file(wav2lip.state_dict(), path)
    return path.read_bytes()


@pytest.fixture
def served(content):
    return Served(content)


@pytest.fixture
def address(served):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            served.asked.append((self.path, wanted))
            if "missing" in self.path:
                return self.send_error(404)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            same = self.headers.get("If-Range") in (None, served.etag)
            start = start if same else 0
            self.send_response(206 if wanted and same else 200)
            self.send_header("ETag", served.etag)
            self.send_header("Content-Length", str(len(served.content) - start))
            self.end_headers()
            stop = start + served.breaks.pop(0) if served.breaks else len(served.content)
            self.wfile.write(served.content[start:stop])

        def log_message(self, *args):
            """Not to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHRUN_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetching, "PAUSE", 0.0)
    return tmp_path / "models"


def test_says_what_it_will_do(address, home):
    plan = plan_fetch("wav2lip", f"{address}/w")
    assert str(plan).startswith("download wav2lip (about 145,600,000 bytes) from http://127.0.0.1")
    assert str(home) in str(plan) and "personal use" in str(plan) and not home.exists()
    assert (plan_fetch("wav2lip").url or "").startswith("https://")
    with pytest.raises(ValueError, match=r"no direct link to the weights of diff2lip: get them .*models add"):
        plan_fetch("diff2lip")
    with pytest.raises(ValueError, match="only http and https"):
        fetch("wav2lip", "file:///etc/passwd")


def test_fetches_verifies_and_tells_how_far_it_is(address, content, home):
    seen = []
    found = fetch("wav2lip", f"{address}/w", progress=lambda have, total: seen.append((have, total)))
    assert found.path.read_bytes() == content and found.origin == f"{address}/w"
    assert seen[-1] == (len(content), len(content)) and seen == sorted(seen)
    assert registry.weights("wav2lip") == found.path
    assert {file.name for file in home.iterdir()} == {"wav2lip.json", "wav2lip.safetensors"}


def test_goes_on_after_a_connection_that_broke(address, served, content):
    served.breaks = [1_000_000, 2_000_000]
    assert fetch("wav2lip", f"{address}/w").path.read_bytes() == content
    assert [wanted for _, wanted in served.asked] == [None, "bytes=1000000-", "bytes=3000000-"]


def test_goes_on_in_a_later_call(address, served, content, monkeypatch):
    monkeypatch.setattr(fetching, "TRIES", 1)
    served.breaks = [5_000_000]
    with pytest.raises(OSError, match=r"ended after 5,000,000 of .* \(5,000,000 bytes are kept for the next try\)"):
        fetch("wav2lip", f"{address}/w")
    assert plan_fetch("wav2lip", f"{address}/w").resumes == 5_000_000
    assert plan_fetch("wav2lip", f"{address}/other").resumes == 0
    assert fetch("wav2lip", f"{address}/w").path.read_bytes() == content
    assert served.asked[-1][1] == "bytes=5000000-"


def test_starts_anew_if_the_file_is_another_by_now(address, served, content, monkeypatch):
    monkeypatch.setattr(fetching, "TRIES", 1)
    served.breaks = [5_000_000]
    with pytest.raises(OSError):
        fetch("wav2lip", f"{address}/w")
    served.etag = '"two"'
    assert fetch("wav2lip", f"{address}/w").path.read_bytes() == content


def test_what_is_not_the_file_is_thrown_away(address, served, content, home):
    right = hashlib.sha256(content).hexdigest()
    assert fetch("wav2lip", f"{address}/w", sha256=right).sha256 == right
    with pytest.raises(ValueError, match=f"its SHA-256 is {right}, not 00"):
        fetch("wav2lip", f"{address}/w", sha256="0" * 64)
    served.content = b"<html>quota exceeded</html>"
    with pytest.raises(ValueError, match="is a web page, not weights"):
        fetch("wav2lip", f"{address}/w")
    assert {file.name for file in home.iterdir()} == {"wav2lip.json", "wav2lip.safetensors"}
    assert registry.verify("wav2lip")[0].problem is None, "what was there is still there"


def test_a_wrong_address_is_not_tried_again(address, served):
    with pytest.raises(OSError, match=r"cannot download .*/missing: .*404"):
        fetch("wav2lip", f"{address}/missing")
    assert len(served.asked) == 1


def test_goes_through_the_proxy_of_the_environment(address, served, content, monkeypatch):
    monkeypatch.setenv("http_proxy", address)
    assert fetch("wav2lip", "http://weights.example/w").path.read_bytes() == content
    assert served.asked[0][0] == "http://weights.example/w"

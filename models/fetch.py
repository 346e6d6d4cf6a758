"""Downloads of weights, when a user asks for one: resumed where they broke off, checked before they are taken."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from models.known import Model
from models.registry import Installed, add, find_model, models_home, sha256_of

BLOCK = 1 << 18
TIMEOUT = 30
TRIES = 5
PAUSE = 1.0

#: called with bytes at hand and bytes in all (None while that is unknown)
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class FetchPlan:
    """What `fetch` will do. resumes: bytes that an earlier, broken download left; part: where they lie."""

    model: Model
    url: str
    part: Path
    resumes: int

    def __str__(self) -> str:
        done = f", of which {self.resumes:,} are here" if self.resumes else ""
        source = f"{self.model.name} (about {self.model.size:,} bytes{done}) from {self.url}"
        checks = "its SHA-256 is known" if self.model.sha256 else "its SHA-256 is not known beforehand"
        licence = f"licence: {self.model.licence}. {self.model.uses}"
        return f"download {source} to {self.part.parent}; {checks}; {licence}"


def plan_fetch(name: str, url: str | None = None) -> FetchPlan:
    """What `fetch` would do, without doing it. Raises ValueError where no address is known or given, or it is none."""
    model = find_model(name)
    url = url or model.url
    if url is None:
        raise ValueError(
            f"there is no direct link to the weights of {name}: get them from {model.where}, then run "
            f"'graphrun models add {name} FILE', or give the address you have as --url"
        )
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"cannot fetch {url}: only http and https addresses")
    part = models_home() / f"{name}.part"
    plan = FetchPlan(model, url, part, part.stat().st_size if part.is_file() else 0)
    return plan if _validator(plan) else replace(plan, resumes=0)


def fetch(
    name: str, url: str | None = None, *, sha256: str | None = None, progress: Progress | None = None
) -> Installed:
    """Download a model's weights, check them and put them in their place.

    Goes on where an earlier call of the same address broke off (HTTP Range, if the file is still the same), and by
    itself after short interruptions. Proxies are taken from the environment. `sha256`: what the file must have. Raises
    ValueError where there is no address or the file is not the model's weights, OSError where the network fails.
    """
    plan = plan_fetch(name, url)
    plan.part.parent.mkdir(parents=True, exist_ok=True)
    _download_with_patience(plan, progress)
    digest = sha256_of(plan.part)
    wanted = sha256.lower() if sha256 else None
    if wanted and digest != wanted:
        _forget(plan.part)
        raise ValueError(f"{plan.url} is not the file it should be: its SHA-256 is {digest}, not {wanted}")
    try:
        return add(name, plan.part, origin=plan.url, move=True)
    finally:
        _forget(plan.part)


def _download_with_patience(plan: FetchPlan, progress: Progress | None) -> None:
    for left in reversed(range(TRIES)):
        try:
            return _download(plan, progress)
        except (OSError, HTTPException) as error:
            if left and not isinstance(error, urllib.error.HTTPError):
                time.sleep(PAUSE)
                continue
            kept = plan.part.stat().st_size if plan.part.exists() else 0
            raise OSError(f"cannot download {plan.url}: {error} ({kept:,} bytes are kept for the next try)") from error


def _download(plan: FetchPlan, progress: Progress | None) -> None:
    """One connection: the whole file, or what an earlier one of the same file left to do."""
    request = urllib.request.Request(plan.url, headers={"User-Agent": "graphrun"})
    have = plan.part.stat().st_size if plan.part.is_file() else 0
    validator = _validator(plan)
    if have and validator:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", validator)
    opener = urllib.request.build_opener()  # takes the proxies from the environment as it is now
    with opener.open(request, timeout=TIMEOUT) as answer:
        if answer.status != 206:
            have = 0
        total = _total(answer, have)
        marks = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        _source(plan.part).write_text(f"{plan.url}\n{marks}")
        with plan.part.open("r+b" if have else "wb") as file:
            file.seek(have)
            while block := answer.read(BLOCK):
                file.write(block)
                have += len(block)
                if progress is not None:
                    progress(have, total)
    if total is not None and have != total:
        raise OSError(f"the connection ended after {have:,} of {total:,} bytes")


def _total(answer: HTTPResponse, have: int) -> int | None:
    length = answer.headers.get("Content-Length")
    return None if length is None else have + int(length)


def _source(part: Path) -> Path:
    """The note beside a partial file: its address, and what the server calls this version of it."""
    return part.with_name(f"{part.name}.from")


def _validator(plan: FetchPlan) -> str | None:
    note = _source(plan.part)
    if not note.is_file():
        return None
    url, _, marks = note.read_text().partition("\n")
    strong = marks and not marks.startswith("W/")
    return marks if url == plan.url and strong else None


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _source(part).unlink(missing_ok=True)

#!/usr/bin/env python3
"""Fetches FlashAttention-2's source distribution from the package index that pip uses, and unpacks its kernels.

    flash_attention.py FOLDER

pip cannot: it runs a source distribution's setup.py for its metadata, and this one wants PyTorch. The archive is known by
its SHA-256. Only the kernels and the CUTLASS headers that they include are unpacked.
"""

import hashlib
import html.parser
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import urllib.parse
import urllib.request

NAME = "flash_attn-2.8.3"
SHA256 = "1e71dd64a9e0280e0447b8a0c2541bad4bf6ac65bdeaa2f90e51a9e57de0370d"
WANTED = ("csrc/flash_attn/src/", "csrc/cutlass/include/", "LICENSE", "csrc/cutlass/LICENSE")


class Links(html.parser.HTMLParser):
    """Collects the page's links."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if tag == "a" and name == "href"]


def index():
    """The index's address: pip's help tells its default as settings and environment have changed it."""
    asked = [sys.executable, "-m", "pip", "download", "--help"]
    wide = {**os.environ, "COLUMNS": "1000"}
    answer = subprocess.run(asked, capture_output=True, text=True, check=True, env=wide).stdout
    found = re.search(r"--index-url <url>.*?\(default (\S+)\)", answer, re.DOTALL)
    if not found:
        sys.exit("pip does not say which index it uses")
    return found[1].rstrip("/")


def fetch(url):
    with urllib.request.urlopen(url, timeout=300) as reply:
        return reply.read()


def main(folder):
    page = f"{index()}/flash-attn/"
    links = Links()
    links.feed(fetch(page).decode())
    archive = f"{NAME}.tar.gz"
    names = {pathlib.PurePosixPath(urllib.parse.urlparse(link).path).name: link for link in links.found}
    if archive not in names:
        sys.exit(f"{page} has no {archive}")
    data = fetch(urllib.parse.urljoin(page, names[archive]))
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        sys.exit(f"{archive} has the SHA-256 {digest}, not {SHA256}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / archive
    path.write_bytes(data)
    with tarfile.open(path) as packed:
        for member in packed:
            inside = member.name.removeprefix(f"{NAME}/")
            if member.isfile() and inside.startswith(WANTED):
                member.name = inside
                packed.extract(member, folder, filter="data")
    path.unlink()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))

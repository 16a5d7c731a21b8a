#!/usr/bin/env python3
"""Fetches the sources of FlashAttention's kernels from the package index that pip uses.

    flash_attention.py 2|3 FOLDER

FlashAttention-2 is a source distribution of its own; FlashAttention-3, for Hopper, has none, but xformers' carries it. pip
cannot fetch them: it runs a source distribution's setup.py for its metadata, and these want PyTorch. An archive is known by
its SHA-256. Only the kernels and the CUTLASS headers that they include are unpacked; what lies there already is not fetched again.
"""

import hashlib
import html.parser
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.parse
import urllib.request

SOURCES = {
    "2": {
        "project": "flash-attn",
        "archive": "flash_attn-2.8.3",
        "sha256": "1e71dd64a9e0280e0447b8a0c2541bad4bf6ac65bdeaa2f90e51a9e57de0370d",
        "below": "",
        "wanted": ("csrc/flash_attn/src/", "csrc/cutlass/include/", "LICENSE", "csrc/cutlass/LICENSE"),
    },
    "3": {
        "project": "xformers",
        "archive": "xformers-0.0.33.post2",
        "sha256": "647ddf26578d2b8643230467ef1f0fbfef0bbe556a546bd27a70d4855d3433e1",
        "below": "third_party/flash-attention/",
        "wanted": ("hopper/", "csrc/cutlass/include/"),
    },
}


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


def main(version, folder):
    source = SOURCES[version]
    mark = folder / "archive"
    if mark.is_file() and mark.read_text() == source["sha256"]:
        return
    shutil.rmtree(folder, ignore_errors=True)
    page = f"{index()}/{source['project']}/"
    links = Links()
    links.feed(fetch(page).decode())
    archive = f"{source['archive']}.tar.gz"
    names = {pathlib.PurePosixPath(urllib.parse.urlparse(link).path).name: link for link in links.found}
    if archive not in names:
        sys.exit(f"{page} has no {archive}")
    data = fetch(urllib.parse.urljoin(page, names[archive]))
    digest = hashlib.sha256(data).hexdigest()
    if digest != source["sha256"]:
        sys.exit(f"{archive} has the SHA-256 {digest}, not {source['sha256']}")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as packed:
        for member in packed:
            inside = member.name.removeprefix(f"{source['archive']}/{source['below']}")
            if member.isfile() and inside.startswith(source["wanted"]):
                member.name = inside
                packed.extract(member, folder, filter="data")
    mark.write_text(source["sha256"])


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))

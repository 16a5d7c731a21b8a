"""Writes crates/asclepius-ops/tests/golden/dynamic_codes.json: the signed and unsigned dynamic code books of
bitsandbytes, for the Rust generator to agree with. Run from the repository root, with bitsandbytes installed.

    python tools/dynamic_codes.py
"""

import json
from pathlib import Path

from bitsandbytes.functional import create_dynamic_map


def main():
    books = {"signed": create_dynamic_map(signed=True), "unsigned": create_dynamic_map(signed=False)}
    path = Path("crates/asclepius-ops/tests/golden/dynamic_codes.json")
    path.write_text(json.dumps({name: book.tolist() for name, book in books.items()}) + "\n")


if __name__ == "__main__":
    main()

"""Set where the course is published: ``python binder/address.py OWNER/REPOSITORY`` (again after a move).

Every badge and link to mybinder.org in the README, in binder/README.md and in the notebooks gets that address.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(mybinder\.org/v2/gh/)[\w.-]+/[\w.-]+")


def files(root=ROOT):
    """The files that may link to Binder."""
    return sorted([*root.glob("*.md"), *root.glob("binder/*.md"), *root.glob("notebooks/**/*.ipynb")])


def set_address(address, root=ROOT):
    """Make every link to Binder point to ``address``, "owner/repository"; return the paths of the files changed."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", address):
        raise SystemExit(
            f"{address!r} is not an address: pass OWNER/REPOSITORY, as it stands in the browser's address bar"
        )
    changed = []
    for path in files(root):
        text = path.read_text(encoding="utf-8")
        if (new := LINK.sub(rf"\g<1>{address}", text)) != text:
            path.write_text(new, encoding="utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    for path in set_address(sys.argv[1]):
        print(path.relative_to(ROOT))

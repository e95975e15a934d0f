"""`python -m scripts.tools [name …]`: build what is not there yet, and print the paths."""

import sys

from scripts import tools
from scripts.findings import execute


def main() -> int:
    """Print the path of each program named, or of all."""
    for name in sys.argv[1:] or tools.NAMES:
        print(tools.path(name))
    return 0


if __name__ == "__main__":
    execute(main)

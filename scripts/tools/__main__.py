"""`python -m scripts.tools [name …]`: build programs that are not cached, and print their paths."""

import sys
from concurrent.futures import ThreadPoolExecutor

from scripts import tools
from scripts.core.findings import execute

# Builds in parallel: while one links or downloads modules, another compiles.
BUILDS = 2


def main() -> int:
    """Print the path of each program named, or of all."""
    with ThreadPoolExecutor(BUILDS) as pool:
        for path in pool.map(tools.path, sys.argv[1:] or tools.NAMES):
            print(path)
    return 0


if __name__ == "__main__":
    execute(main)

"""`python -m scripts.tools [name …]`: build what is not there yet, and print the paths."""

import sys
from concurrent.futures import ThreadPoolExecutor

from scripts import tools
from scripts.core.findings import execute

# At a time: while one is linked, or its modules come, another is compiled.
BUILDS = 2


def main() -> int:
    """Print the path of each program named, or of all."""
    with ThreadPoolExecutor(BUILDS) as pool:
        for path in pool.map(tools.path, sys.argv[1:] or tools.NAMES):
            print(path)
    return 0


if __name__ == "__main__":
    execute(main)

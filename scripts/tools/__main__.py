"""`python -m scripts.tools <name>`: print the path of a pinned program, built if need be."""

import sys

from scripts import tools
from scripts.findings import RepositoryError, report

if __name__ == "__main__":
    try:
        print(tools.path(" ".join(sys.argv[1:])))
    except RepositoryError as error:
        report(error.findings)
        sys.exit(1)

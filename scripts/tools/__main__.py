"""`python -m scripts.tools [name …]`: build what is not there yet, and print the paths."""

import sys

from scripts import tools
from scripts.findings import RepositoryError, report

if __name__ == "__main__":
    try:
        for name in sys.argv[1:] or tools.NAMES:
            print(tools.path(name))
    except RepositoryError as error:
        report(error.findings)
        sys.exit(1)

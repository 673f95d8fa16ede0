"""`python -m phonebank`: the same command as `phonebank`. Owns nothing else."""

import sys

from phonebank.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m medr3_plugin`: the command `medr3`."""

from medr3_plugin.cli import main

if __name__ == "__main__":
    main()

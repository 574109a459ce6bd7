"""Run one spec: `python jobs/relabel.py SPEC`, or `ray job submit -- python jobs/relabel.py SPEC` on a cluster.

Takes the options of `relabel run`. Exit codes: 0 complete, 1 incomplete, 2 refused.
"""

import sys

if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its relabel.py would stand in for the package, here and on every Ray worker
    from relabel.cli import main

    main(["run", *sys.argv[1:]])

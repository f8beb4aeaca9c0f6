"""Builds the project given as argument in a process that tests may kill; a second argument holds the lease instead."""

import sys
import time
from pathlib import Path

from bqx.build.choice import Choice
from bqx.build.lease import Lease
from bqx.build.project import Project
from bqx.build.run import build

if __name__ == "__main__":
    project = Project.open(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        with Lease(project.manifest, "holder"):
            print("held", flush=True)
            time.sleep(600)
    print("building", flush=True)
    build(project, Choice(datasets=("time_dual", "returns_raw_rate")), threads=2)

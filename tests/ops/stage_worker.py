"""Runs one stage in a process of its own, to be killed: stage_worker.py PROJECT STAGE."""

from __future__ import annotations

import sys
from pathlib import Path

from bqx.build.project import Project
from bqx.ops.plan.read import load_plan
from bqx.ops.stages.run import run_stage
from bqx.ops.stages.state import PlanState

project = Project.open(sys.argv[1])
run_stage(project, load_plan(), PlanState(Path(sys.argv[1])), sys.argv[2])

"""Applies a plan in a process of its own, so that it can be killed: python migrate_apply_worker.py DSN PLAN [BUDGET]"""

import sys
from pathlib import Path

from bqx.base.errors import BqxError
from bqx.store.migrate.apply import Options, apply
from bqx.store.migrate.budget import Budget
from bqx.store.migrate.plan import Plan

if __name__ == "__main__":
    dsn, path, *rest = sys.argv[1:]
    budget = Budget(int(rest[0]), 0) if rest else None
    try:
        apply(dsn, Plan.parse(Path(path).read_text()), Options(budget=budget, rows="skip", verify=False))
    except BqxError as error:
        print(error.code, flush=True)
        sys.exit(error.exit_code)

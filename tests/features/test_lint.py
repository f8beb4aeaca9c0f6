"""What may not be used where features are computed, because its bits differ between machines, or it draws lots."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bqx.features

ROOT = Path(bqx.features.__file__).parent

_VECTOR = """
exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh power float_power cbrt hypot
sum nansum mean nanmean std nanstd var nanvar average median prod cumprod dot vdot inner outer matmul tensordot einsum
trapezoid interp polyfit polyval convolve correlate linalg random fft corrcoef cov
"""
_SCALAR = """
exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh pow erf erfc gamma lgamma cbrt hypot
dist
"""
VECTOR, SCALAR = frozenset(_VECTOR.split()), frozenset(_SCALAR.split())
METHODS = frozenset({"dot", "mean", "std", "var", "prod"})
"""Of arrays; `.sum()` is allowed for counts of masks, which are exact in any order."""
LIBRARIES = frozenset({"scipy", "sklearn", "statsmodels", "random", "cmath", "numexpr", "torch", "jax"})


class Finder(ast.NodeVisitor):
    """Collects `line: what`; skips functions whose name ends with `_reference`."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.aliases: dict[str, str] = {}

    def add(self, node: ast.AST, what: str) -> None:
        self.found.append(f"{getattr(node, 'lineno', 0)}: {what}")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name == "reference" or node.name.endswith("_reference"):
            for default in node.args.defaults:
                self.visit(default)
            return
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            top = name.name.partition(".")[0]
            self.aliases[name.asname or top] = top
            if top in LIBRARIES or name.name in ("numpy.linalg", "numpy.random", "numpy.fft"):
                self.add(node, f"import {name.name}")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        top = module.partition(".")[0]
        names = {a.name for a in node.names}
        banned = VECTOR if top == "numpy" else SCALAR if top == "math" else frozenset()
        if top in LIBRARIES or module in ("numpy.linalg", "numpy.random", "numpy.fft") or names & banned:
            self.add(node, f"from {module} import {', '.join(sorted(names))}")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        home = node.value.id if isinstance(node.value, ast.Name) else ""
        library = self.aliases.get(home, home)
        if library == "numpy" and node.attr in VECTOR:
            self.add(node, f"np.{node.attr}")
        elif library == "math" and node.attr in SCALAR:
            self.add(node, f"math.{node.attr}")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            home = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            if self.aliases.get(home) != "numpy":  # np.mean(...) has been found already
                self.add(node, f".{node.func.attr}()")
        for word in node.keywords:
            on = not (isinstance(word.value, ast.Constant) and word.value.value is False)
            if word.arg in ("fastmath", "parallel") and on:
                self.add(node, f"{word.arg}=")
        if isinstance(node.func, ast.Name) and node.func.id == "pow":
            self.add(node, "pow()")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._operator(node, node.op, node.right)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._operator(node, node.op, node.value)
        self.generic_visit(node)

    def _operator(self, node: ast.AST, op: ast.operator, right: ast.expr) -> None:
        if isinstance(op, ast.MatMult):
            self.add(node, "@")
        whole = isinstance(right, ast.Constant) and isinstance(right.value, int)
        decimal = isinstance(right, ast.Call) and isinstance(right.func, ast.Name) and right.func.id == "Decimal"
        if isinstance(op, ast.Pow) and not whole and not (decimal or _is_decimal(right)):
            self.add(node, "** with an exponent that is not a whole literal")


def _is_decimal(node: ast.expr) -> bool:
    """Decimal(..) op Decimal(..): arithmetic in software."""
    return (
        isinstance(node, ast.BinOp)
        and all(
            isinstance(side, ast.Call) and isinstance(side.func, ast.Name) and side.func.id == "Decimal"
            for side in (node.left, node.right)
        )
    )  # fmt: skip


def offences(source: str) -> list[str]:
    finder = Finder()
    finder.visit(ast.parse(source))
    return finder.found


FILES = sorted(p for p in ROOT.rglob("*.py") if "checks" not in p.relative_to(ROOT).parts)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_clean(path: Path) -> None:
    assert offences(path.read_text("utf-8")) == []


def test_files_are_found() -> None:
    names = {p.name for p in FILES}
    assert {"streams.py", "sums.py", "mathfun.py", "returns.py", "jit.py"} <= names


PLANTED = """
y = np.exp(x)
y = np.log(x)
y = np.sin(x)
y = np.cos(x)
y = np.tan(x)
y = np.power(x, 2)
y = np.sum(x)
y = np.mean(x)
y = np.std(x)
y = np.var(x)
y = np.dot(x, x)
y = np.matmul(x, x)
y = np.linalg.solve(x, x)
y = np.random.default_rng(0)
y = np.corrcoef(x)
y = x.mean()
y = x.std(axis=0)
y = x.dot(x)
y = x @ x
x @= x
y = x ** 0.5
y = x ** n
x **= 1.5
y = pow(x, 3)
import math; y = math.exp(x)
import math; y = math.log(x)
import math; y = math.sin(x)
import math; y = math.cos(x)
import math; y = math.pow(x, 2)
import math as m; y = m.exp(x)
import numpy; y = numpy.exp(x)
import numpy as xp; y = xp.log(x)
from numpy import exp
from math import log
from numpy.linalg import solve
import numpy.random
import scipy.signal
from scipy import stats
from sklearn.linear_model import Ridge
import random
f = numba.njit(fastmath=True)(f)
f = numba.njit(fastmath={'nnan'})(f)
f = njit(parallel=True)(f)
f = lambda x: np.exp(x)
def reference_free(x): return np.exp(x)
class A: f = np.exp
"""

ALLOWED = """
y = x ** 2
y = 2 ** 31
y = np.sqrt(x)
y = math.sqrt(2)
y = math.fsum(x)
y = mask.sum(axis=1)
y = numba.njit(fastmath=False, nogil=True)(f)
y = Decimal(2) ** (Decimal(-1) / Decimal(120))
def _sigma_reference(s): return np.exp(np.dot(s, s)) ** 0.5
def reference(s): return math.log(s)
"""


@pytest.mark.parametrize("line", PLANTED.strip().splitlines())
def test_planted_line_is_found(line: str) -> None:
    source = line if "import" in line else f"import numpy as np\n{line}"
    assert len(offences(source)) == 1


@pytest.mark.parametrize("line", ALLOWED.strip().splitlines())
def test_allowed_line_is_not(line: str) -> None:
    assert offences(f"import math\nimport numpy as np\n{line}") == []

"""q-values against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from bqx.base.errors import CausalityError
from bqx.research.causality.fdr import benjamini_hochberg, benjamini_yekutieli, harmonic


def test_equal_statsmodels() -> None:
    rng = np.random.default_rng(3)
    for m in (1, 7, 756):
        p = np.concatenate([rng.uniform(size=m), rng.uniform(size=m // 4) * 1e-4, [1.0, 1.0]])
        np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1], rtol=1e-12)
        np.testing.assert_allclose(benjamini_yekutieli(p), multipletests(p, method="fdr_by")[1], rtol=1e-12)
    assert harmonic(756) == pytest.approx(7.206, abs=1e-3)


def test_what_is_no_p() -> None:
    with pytest.raises(CausalityError, match="2 of 3 p-values"):
        benjamini_hochberg([0.2, 1.2, float("nan")])
    assert benjamini_yekutieli([]).tolist() == []

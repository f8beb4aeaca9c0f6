from pathlib import Path

from bqx.base.docs_errors import render
from bqx.base.errors import BqxError, catalogue

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text() == render(), "run: python -m bqx.base.docs_errors docs/errors.md"


def test_codes_are_unique_and_complete() -> None:
    classes = catalogue()
    codes = [cls.code for cls in classes]
    assert len(set(codes)) == len(codes)
    assert all(cls.title and cls.next_step for cls in classes)
    inherited = [c.__name__ for c in classes if c is not BqxError and "next_step" not in c.__dict__]
    assert inherited == []


def test_errors_say_what_where_and_what_next() -> None:
    error = BqxError("3 of 5 bad", where="x:7", fix="mend it")
    assert str(error) == "BQX000 3 of 5 bad at x:7 -> mend it"
    assert error.as_dict()["where"] == "x:7"

import pytest

from bqx.base.errors import UsageError
from bqx.store.partition import PartitionKey, check_dataset


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("technical_rate_eurusd_2024_07", ("technical_rate", "eurusd", "2024_07")),
        ("base_bqx_usdjpy_1999_12", ("base_bqx", "usdjpy", "1999_12")),
        ("returns_raw_rate_eurusd_2024_07", ("returns_raw_rate", "eurusd", "2024_07")),
        ("time_dual_audnzd_2030_01", ("time_dual", "audnzd", "2030_01")),
    ],
)
def test_name_and_parse_are_inverse(name: str, key: tuple[str, str, str]) -> None:
    assert PartitionKey.parse(name) == PartitionKey(*key)
    assert PartitionKey(*key).name == name


@pytest.mark.parametrize(
    "name",
    [
        "technical_eurusd_2024_07",
        "technical_rate_eurus_2024_07",
        "Technical_rate_eurusd_2024_07",
        "technical_rate_eurusd_2024_13",
        "technical_rate_eurusd_y2024m07",
        "technical_rate_eurusd_2024_07; DROP TABLE file",
        "",
    ],
)
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"month that does not exist|not a partition name"):
        PartitionKey.parse(name)


@pytest.mark.parametrize("name", ["rate", "returns", "returns_rate/../x", "returns__rate", "../returns_rate"])
def test_dataset_names_cannot_leave_their_folder(name: str) -> None:
    with pytest.raises(UsageError):
        check_dataset(name)

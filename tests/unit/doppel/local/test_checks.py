"""Is the machine large enough?"""

import pytest

from doppel.local.checks import MachineTooSmall, check_sizes, free_memory
from doppel.local.settings import GIB


def test_enough_is_enough() -> None:
    check_sizes(10 * GIB, 8 * GIB, need_memory_bytes=10 * GIB, need_disk_bytes=8 * GIB)


@pytest.mark.parametrize(("memory", "disk", "word"), [(9, 8, "memory"), (10, 7, "disk")])
def test_what_is_missing_is_said_in_one_sentence(memory: int, disk: int, word: str) -> None:
    with pytest.raises(MachineTooSmall) as error:
        check_sizes(memory * GIB, disk * GIB, need_memory_bytes=10 * GIB, need_disk_bytes=8 * GIB)
    assert word in str(error.value)
    assert str(error.value).count(". ") == 0


def test_this_machine_has_memory() -> None:
    assert 0 < free_memory() < 2**50

from hypothesis import given
from hypothesis import strategies as st

from proto.conversation import Sample, Turn
from services.scraper.core.split import LEAST, split_samples, target_of

sizes = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=4), st.integers(1, 60), min_size=1, max_size=60
)


def groups_of(counts: dict[str, int]) -> dict[str, list[Sample]]:
    number = 0
    groups: dict[str, list[Sample]] = {}
    for key, count in counts.items():
        for _ in range(count):
            number += 1
            turns = (Turn(role="user", content="Bram: x"),)
            sample = Sample(turns=turns, response="y", channel_id="C1", ts=f"{number}.000000")
            groups.setdefault(key, []).append(sample)
    return groups


@given(sizes, st.integers(0, 3))
def test_every_sample_is_in_one_split_and_it_is_the_same_each_time(counts: dict[str, int], seed: int) -> None:
    groups = groups_of(counts)
    splits = split_samples(groups, seed)
    seen = [sample.ts for samples in splits.values() for sample in samples]
    assert sorted(seen) == sorted(sample.ts for samples in groups.values() for sample in samples)
    assert split_samples(dict(reversed(groups.items())), seed) == splits


@given(sizes)
def test_a_dataset_of_usual_size_has_enough_in_each_split(counts: dict[str, int]) -> None:
    groups = groups_of(counts)
    total = sum(counts.values())
    if total < 40:
        return
    splits = split_samples(groups, 0)
    assert min(len(samples) for samples in splits.values()) >= LEAST
    assert len(splits["train"]) >= total // 3
    assert max(len(splits["validation"]), len(splits["test"])) <= max(2 * target_of(total), total // 3)


@given(
    st.dictionaries(st.text("abcdefgh", min_size=2, max_size=5), st.integers(1, 4), min_size=60, max_size=90)
)
def test_conversations_are_not_torn_apart(counts: dict[str, int]) -> None:
    groups = groups_of(counts)
    splits = split_samples(groups, 1)
    where = {sample.ts: split for split, samples in splits.items() for sample in samples}
    for samples in groups.values():
        assert len({where[sample.ts] for sample in samples}) == 1
    total = sum(counts.values())
    assert 0.6 * total <= len(splits["train"]) <= 0.9 * total

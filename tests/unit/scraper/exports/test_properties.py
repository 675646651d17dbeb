"""Whatever an export looks like: no human word is lost, none credited to another, nothing private is read."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.scraper.core.source import TsWindow
from tests.support.exports import Export, exports, make_export
from tests.support.exports.judging import faults
from tests.unit.scraper.exports.reading import instant, read

anywhere = settings(
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
orders = st.integers(0, 2**32)


@anywhere
@given(export=exports(), order=orders)
def test_the_corpus_of_any_export_is_the_truth(tmp_path: Path, export: Export, order: int) -> None:
    corpus = read(export.write(tmp_path / "export.zip", order), export.team_id)
    assert faults(export.truth, corpus.people, corpus.messages) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_larger_export_is_the_truth_too(tmp_path: Path, seed: int) -> None:
    export = make_export(seed, size=500)
    corpus = read(export.write(tmp_path / "export.zip", seed), export.team_id)
    assert faults(export.truth, corpus.people, corpus.messages) == []


@anywhere
@given(export=exports(), order=orders)
def test_the_order_of_entries_changes_no_byte(tmp_path: Path, export: Export, order: int) -> None:
    first = read(export.write(tmp_path / "export.zip", 1), export.team_id)
    again = read(export.write(tmp_path / "export.zip", order), export.team_id)
    assert (first.hashes, first.dropped) == (again.hashes, again.dropped)


@anywhere
@given(export=exports(), share=st.floats(0, 1), width=st.sampled_from((0, 3_600, 10**7, 10**9)))
def test_a_window_keeps_what_lies_in_it(tmp_path: Path, export: Export, share: float, width: int) -> None:
    times = sorted({each.ts for each in export.truth.expected}, key=instant)
    oldest = times[int(share * (len(times) - 1))] if times else "1400000000.000000"
    latest = f"{instant(oldest)[0] + width}.000000"
    corpus = read(export.write(tmp_path / "export.zip", 1), export.team_id, TsWindow(oldest, latest))
    inside = [each for each in export.truth.expected if instant(oldest) < instant(each.ts) <= instant(latest)]
    assert faults(replace(export.truth, expected=inside), corpus.people, corpus.messages) == []


@pytest.mark.parametrize("seed", range(3))
def test_how_many_processes_read_changes_no_byte(tmp_path: Path, seed: int) -> None:
    export = make_export(seed, size=200)
    path = export.write(tmp_path / "export.zip", seed)
    corpora = [read(path, export.team_id, workers=count) for count in (0, 1, 3)]
    assert corpora[0].messages
    assert [(each.hashes, each.dropped) for each in corpora[1:]] == [
        (corpora[0].hashes, corpora[0].dropped)
    ] * 2

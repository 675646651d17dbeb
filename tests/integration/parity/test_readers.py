"""The adapter that a run publishes means to PEFT and to vLLM what it meant to the trainer."""

import itertools
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.integration.parity.conftest import Trained
from tests.integration.parity.engine_child import Job
from tests.support.oracles import read_by_peft

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).resolve().parents[3]
CLOSE = 2e-3  # nats, fp32, of 49,152 words at every position
MOVED = 0.3  # what the adapter changes is far beyond any rounding
NEW_TOKENS = 8
ENGINE_S = 400


def test_peft_gives_the_trainers_logits(trained: Trained) -> None:
    read = read_by_peft(trained.base, trained.adapter)
    for ids in trained.conversations:
        with torch.inference_mode():
            theirs = read(torch.tensor([ids])).logits[0]
        ours = trained.logits(ids)
        assert (theirs - ours).abs().max() < CLOSE
        assert (theirs - trained.logits(ids, as_base=True)).abs().max() > MOVED


@pytest.fixture(scope="module")
def answers(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What vLLM says, base and adapter in the same batches."""
    work = tmp_path_factory.mktemp("engine")
    job = Job(
        model=str(trained.base),
        adapter=str(trained.adapter),
        scratch=str(work),
        context=256,
        new_tokens=NEW_TOKENS,
        prompts=trained.conversations,
    )
    (work / "job.json").write_text(json.dumps(asdict(job)))
    child = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.integration.parity.engine_child",
            work / "job.json",
            work / "answers.json",
        ],
        cwd=ROOT,
        capture_output=True,
        timeout=ENGINE_S,
        check=False,
    )
    assert child.returncode == 0, child.stderr.decode()[-3000:]
    return json.loads((work / "answers.json").read_bytes())


@pytest.mark.engine
@pytest.mark.parametrize("who", ["base", "adapter"])
def test_vllm_gives_the_trainers_probabilities_and_words(
    trained: Trained, answers: dict[str, Any], who: str
) -> None:
    for prompt, said in zip(trained.conversations, answers[who], strict=True):
        assert len(said["ids"]) == NEW_TOKENS
        ours = trained.log_probabilities(prompt + said["ids"], as_base=who == "base")
        theirs = said["prompt"] + said["written"]  # of the token after each position
        assert len(theirs) == len(ours) - 1
        for position, likeliest in enumerate(theirs):
            at = torch.tensor([int(token) for token in likeliest])
            there = torch.tensor(list(likeliest.values()))
            assert (ours[position, at] - there).abs().max() < CLOSE
        greedy = ours[len(prompt) - 1 : -1].argmax(-1).tolist()
        assert said["ids"] == greedy
        until_end = list(itertools.takewhile(lambda token: token not in trained.encoder.end_ids, greedy))
        assert said["text"] == trained.encoder.decode(until_end)


@pytest.mark.engine
def test_vllm_hears_the_adapter(trained: Trained, answers: dict[str, Any]) -> None:
    for prompt, base, adapter in zip(trained.conversations, answers["base"], answers["adapter"], strict=True):
        moved = [
            abs(with_it[str(token)] - without[str(token)])
            for token, with_it, without in zip(prompt[1:], adapter["prompt"], base["prompt"], strict=True)
        ]
        assert max(moved) > MOVED

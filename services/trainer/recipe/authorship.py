"""Whose words are these? A classifier that has only ever seen real messages gives its verdict on generated ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from proto.report import Authorship

LEAST = 16  # messages of each side; fewer teach it nothing
HELD_OUT = 0.2
GRAMS = (1, 4)
MOST_GRAMS = 100_000


def classifier(**settings: Any) -> Any:
    """Character n-grams and logistic regression: on short messages hard to beat, and trained in seconds."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    grams = TfidfVectorizer(
        analyzer="char_wb", ngram_range=GRAMS, max_features=MOST_GRAMS, sublinear_tf=True, lowercase=False
    )
    return make_pipeline(
        grams, LogisticRegression(C=10.0, max_iter=300, class_weight="balanced", random_state=0, **settings)
    )


def judge_authorship(
    own: Sequence[str],
    own_held_out: Sequence[str],
    others: Sequence[str],
    generated: Sequence[str],
    base: Sequence[str],
) -> Authorship | None:
    """Train on real messages of the person and of others, then judge. None: too little text of either side."""
    every = round(1 / HELD_OUT)  # of the others' messages, which come by author
    others_held_out = others[::every]
    strangers = [text for i, text in enumerate(others) if i % every]
    if min(len(own), len(strangers)) < LEAST or not (own_held_out and others_held_out and generated):
        return None
    model = classifier()
    model.fit([*own, *strangers], [1] * len(own) + [0] * len(strangers))

    def share(texts: Sequence[str]) -> float:
        return float(np.mean(model.predict(list(texts))))

    return Authorship(
        generated=share(generated),
        base=share(base) if base else None,
        real=share(own_held_out),
        others=share(others_held_out),
        trained_on=len(own) + len(strangers),
    )


def spread(texts: Sequence[str], limit: int) -> list[str]:
    """At most `limit`, evenly over the whole."""
    if len(texts) <= limit:
        return list(texts)
    return [texts[i * len(texts) // limit] for i in range(limit)]

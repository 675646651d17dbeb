from services.scraper.core.near_duplicates import Seen

LONG = "have you looked into the log of the server? it usually says what is wrong with the network"


def test_the_same_answer_is_taken_once() -> None:
    seen = Seen()
    assert seen.add(LONG)
    assert not seen.add(LONG)
    assert not seen.add(f"  {LONG.upper()} ")


def test_nearly_the_same_is_the_same() -> None:
    seen = Seen()
    seen.add(LONG)
    assert not seen.add(LONG + "!")
    assert not seen.add(LONG.replace("the log", "the  logs"))


def test_another_answer_is_taken() -> None:
    seen = Seen()
    seen.add(LONG)
    assert seen.add("I have no idea, ask somebody who knows about networks and their servers")
    assert seen.add("thanks")
    assert seen.add("")


def test_the_outcome_is_the_same_each_time() -> None:
    texts = [f"answer {i // 3} of the many that were given on day {i % 7}" for i in range(300)]

    def taken() -> list[bool]:
        seen = Seen()
        return [seen.add(text) for text in texts]

    assert taken() == taken()

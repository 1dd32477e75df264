"""Whether a model is promoted: better by more than chance, no class worse, above the floor, on the same images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from artifacts.ref import Ref
from schemas.results import METRICS, PREDICTIONS, Metrics
from schemas.verdict import LISTED, VERDICT, Terms, Verdict
from tasks.promote import OTHER_IMAGES, Pair, judge, lower_classes, promote, read_pair
from tests.idxflow.comparing.compared_runs import predictions, scored
from tests.tasks import refs
from tests.tasks.measured import measured

NAMES = ("cat", "dog", "owl")


def pair(*counts: tuple[int, int, int, int]) -> Pair:
    """A pair of models by class: images that both name right, only the candidate, only the champion, and neither."""
    right = np.array([(1, 1), (1, 0), (0, 1), (0, 0)], bool)
    rows = np.concatenate([np.repeat(right, each, axis=0) for each in counts])
    label = np.repeat(np.arange(len(counts)), [sum(each) for each in counts]).astype(np.uint16)
    return Pair(label, rows[:, 0], rows[:, 1])


def verdict(found: Pair | None, **terms: Any) -> Verdict:
    """Judge a pair of models."""
    accuracy, samples = (float(found.now.mean()), len(found.now)) if found else (0.9, 100)
    return judge(accuracy, found, NAMES, samples, Terms(**terms))


def test_a_better_model_is_promoted() -> None:
    """It wins more images than chance explains, and the verdict says how many, and what lead would have been enough."""
    found = verdict(pair((900, 41, 2, 57), (950, 20, 5, 25), (930, 30, 5, 35)), looks=4)
    assert (found.outcome, found.why, found.better, found.worse) == ("promoted", "", 91, 12)
    assert found.least_lead == 29
    assert found.words == (
        "promoted: 91 better, 12 worse, p = 3.5e-16, no class worse by more than 1 point; of 103 images that part them "
        "a lead of 29 (0.97 points) counts; this test set has been looked at 4 times"
    )
    assert found.accuracy - found.champion_accuracy == pytest.approx(79 / 3000)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("better", "worse", "why"),
    [
        (0, 0, "it names the same images right"),
        (20, 20, "it is no better"),
        (20, 15, "chance explains the difference"),
        (15, 20, "it is no better"),
        (5, 40, "it is worse"),
    ],
)
def test_what_is_not_better_is_not_promoted(better: int, worse: int, why: str) -> None:
    """Equal, better by luck, worse by luck or worse: the alias stays, and the verdict says why."""
    found = verdict(pair((5000, better, worse, 900), (900, 0, 0, 100), (900, 0, 0, 100)))
    assert (found.outcome, found.why) == ("kept", why)
    assert found.words.startswith(f"not promoted: {why}; {better} better, {worse} worse, p = ")


def test_it_is_said_that_nothing_could_have_been_seen() -> None:
    """Where too few images part two models, no lead at all would have been more than chance."""
    found = verdict(pair((90, 5, 0, 5)))
    assert (found.outcome, found.least_lead) == ("kept", None)
    assert "no lead on so few images that part them, 5, would have been more than chance" in found.words


def test_a_class_that_pays_for_the_others_holds_a_model_back() -> None:
    """A class that lost more than a point, and more than chance explains, is worse, however many the others won."""
    found = verdict(pair((900, 60, 0, 40), (900, 60, 0, 40), (940, 2, 30, 28)))
    assert (found.outcome, found.why) == ("kept", "1 class is worse")
    assert "worse: owl by 2.8 points (2 better, 30 worse)" in found.words


def test_chance_holds_no_class_against_a_model() -> None:
    """Of few images a fall of many points is luck: it is told, and does not count."""
    found = verdict(pair((900, 60, 0, 40), (900, 60, 0, 40), (25, 1, 4, 0)))
    assert found.outcome == "promoted"
    assert [(one.name, one.fall, one.counts) for one in found.lower] == [("owl", 0.1, False)]
    assert (
        "no class worse by more than 1 point and chance (lower: owl by 10.0 points (1 better, 4 worse))" in found.words
    )


@pytest.mark.parametrize(
    ("images", "lost", "lower"), [(100, 1, 0), (100, 2, 1), (1000, 10, 0), (1000, 11, 1), (50, 1, 1)]
)
def test_a_fall_of_just_the_margin_is_within_it(images: int, lost: int, lower: int) -> None:
    """The margin is counted in whole images: one of a hundred is a point, and not more than one."""
    assert len(lower_classes(pair((images - lost, 0, lost, 0)), NAMES, Terms())) == lower


def test_a_margin_that_has_no_exact_form_is_exact() -> None:
    """29 of 100 images are 29 points, though 0.29 times 100 is a little less than 29 to a computer."""
    assert not lower_classes(pair((71, 0, 29, 0)), NAMES, Terms(margin=0.29))
    assert lower_classes(pair((70, 0, 30, 0)), NAMES, Terms(margin=0.29))


def test_the_more_classes_the_more_has_to_speak_against_one() -> None:
    """All classes share one level: of two hundred one is not held against a model for what one of two would be."""
    few, many = (
        lower_classes(pair((100, 0, 8, 0), *((100, 0, 0, 0),) * more), [str(at) for at in range(more + 1)], Terms())
        for more in (1, 199)
    )
    assert (few[0].counts, many[0].counts) == (True, False)
    assert few[0].p_value == many[0].p_value


def test_a_verdict_lists_few_classes_and_counts_all() -> None:
    """Of a hundred classes that fell twenty are listed, the largest fall first, those that count before the others."""
    found = judge(
        0.5, pair(*((100, 0, 5 + at % 30, 0) for at in range(100))), [f"{at}" for at in range(100)], 1, Terms()
    )
    assert (len(found.lower), found.lower_classes) == (LISTED, 100)
    assert found.lower[0].worse == 34
    assert "and " in found.words


def test_the_first_is_promoted_visibly() -> None:
    """Without a champion there is nothing to compare with, and the verdict says so."""
    found = verdict(None, looks=1)
    assert (found.outcome, found.promotes) == ("first", True)
    assert found.words == (
        "promoted as the first: test accuracy 90.00 %, and no other to compare it with; "
        "this test set has been looked at once"
    )


@pytest.mark.parametrize("better", [True, False])
def test_the_floor_holds_for_all(better: bool) -> None:
    """Neither the first nor a better model is promoted below the floor; at the floor both are."""
    found = pair((860, 40, 0, 100)) if better else None
    low, just = verdict(found, floor=0.91), verdict(found, floor=0.9)
    assert (low.outcome, low.why) == ("kept", "its test accuracy, 90.00 %, is below 91.00 %")
    assert just.promotes


def test_what_cannot_be_compared_is_refused() -> None:
    """An obstacle is the verdict, whatever the images say."""
    found = verdict(pair((860, 40, 0, 100)), obstacle="the model is of digits")
    assert (found.outcome, found.promotes, found.better) == ("refused", False, None)
    assert found.words.startswith("not promoted: the model is of digits; ")


def test_a_person_may_insist_and_says_why() -> None:
    """By force anything is promoted; the reason stays, and what spoke against it, or that nothing did."""
    forced = verdict(pair((900, 5, 40, 55)), force="its labels\nare right")
    assert (forced.outcome, forced.promotes, forced.why) == ("forced", True, "it is worse and 1 class is worse")
    assert forced.words.startswith(
        "promoted by force (its labels\\nare right), although it is worse and 1 class is worse; 5 "
    )
    assert verdict(None, force="sure", obstacle="other images").outcome == "forced"
    needless = verdict(pair((860, 40, 0, 100)), force="sure")
    assert (needless.outcome, needless.force) == ("promoted", "sure")
    assert "--force was not needed" in needless.words


def test_equal_models_are_seldom_promoted() -> None:
    """Of 2,000 pairs that differ by tosses of a coin 1 % at most are promoted, and no class is held against 5 %."""
    random, found = np.random.default_rng(7), []
    for _ in range(2000):
        label = random.integers(0, 3, 300).astype(np.uint16)
        apart, coin = random.random(300) < 0.1, random.random(300) < 0.5
        found.append(verdict(Pair(label, ~apart | coin, ~apart | ~coin)))
    assert sum(each.outcome == "promoted" for each in found) <= 20
    assert sum(any(one.counts for one in each.lower) for each in found) <= 100


def leave(folder: Path, labels: tuple[int, ...], predicted: tuple[int, ...], **more: Any) -> Ref:
    """Leave predictions and metrics of a model."""
    folder.mkdir()
    predictions(folder / PREDICTIONS, labels, predicted, **more)
    test = measured(scored(labels, predicted), NAMES)
    (folder / METRICS).write_text(Metrics(train=test, test=test).model_dump_json())
    return refs.bind("evaluate", folder)


LABELS = (0, 1, 2) * 20


def judged(tmp_path: Path, champion: Ref | None, candidate: Ref, **terms: Any) -> Verdict:
    """Run the stage on a table whose content is called `a`."""
    (out := tmp_path / "out").mkdir()
    (tmp_path / "table").mkdir()
    table = refs.bind("parse", tmp_path / "table", digest="a" * 64)
    summary = promote.function(candidate, table, Terms(**terms), out, champion)
    found = Verdict.model_validate_json((out / VERDICT).read_bytes())
    assert (summary.outcome, summary.words) == (found.outcome, found.words)  # type: ignore[attr-defined]
    return found


def test_the_stage_reads_the_test_split_alone(tmp_path: Path) -> None:
    """The rows of the train split, which are all right, decide nothing; ids in another order are the same images."""
    poor = leave(tmp_path / "poor", LABELS, (1, 1, 2) * 20)
    good = leave(tmp_path / "good", LABELS, LABELS)
    found = judged(tmp_path, poor, good, tested_on="a" * 64)
    assert (found.outcome, found.better, found.worse, found.samples) == ("promoted", 20, 0, 60)


def test_other_test_content_is_refused(tmp_path: Path) -> None:
    """Equal ids and labels are not enough: the champion's table has to have the same content."""
    poor, good = leave(tmp_path / "poor", LABELS, (1, 1, 2) * 20), leave(tmp_path / "good", LABELS, LABELS)
    found = judged(tmp_path, poor, good, tested_on="b" * 64)
    assert (found.outcome, found.why, found.better) == ("refused", OTHER_IMAGES, None)


def test_predictions_of_other_images_are_no_pair(tmp_path: Path) -> None:
    """Other ids, or other labels, are other images."""
    ids = tuple(range(1, 61))
    one, moved = leave(tmp_path / "one", LABELS, LABELS), leave(tmp_path / "moved", LABELS, LABELS, ids=ids)
    turned = leave(tmp_path / "turned", LABELS[::-1], LABELS)
    for other in (moved, turned):
        assert read_pair(one.file(PREDICTIONS), other.file(PREDICTIONS)) is None
    assert read_pair(one.file(PREDICTIONS), one.file(PREDICTIONS)) is not None

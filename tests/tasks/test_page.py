"""The page: figures in words and numbers, findings told, values escaped."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from schemas.catalog import load_dataset
from schemas.corrections import Correction, Corrections
from schemas.image_spec import ImageSpec
from schemas.model import NormalizerFacts
from schemas.results import ClassMetrics, Drift, DuplicateGroup, Finding, Metrics, SplitMetrics, Statistics
from schemas.training import EpochRow, History, Training
from tasks.explaining.page import Illustration, Page, Setting, percent, render, thousands
from tasks.quality.hints import Hint, Hints


def split_statistics(*findings: Finding, duplicates: tuple[DuplicateGroup, ...] = ()) -> Statistics:
    """Return the statistics of a split of the digits."""
    return Statistics(
        samples=1500, shape=(8, 8), classes=tuple("0123456789"), class_counts=(150,) * 10, imbalance=1, minimum=0,
        maximum=240, sum=1, sum_of_squares=1, mean=73.2, std=90.0, ink=0.5, blank=0, duplicates=duplicates,
        drift=(Drift(feature="ink", psi=0.0733, noise=0.0323),), findings=findings,
    )  # fmt: skip


@pytest.fixture
def page() -> Page:
    """A page of little content."""
    one = ClassMetrics(name="0", support=150, precision=0.5, recall=0.25, f1=0.33)
    classes = tuple(one.model_copy(update={"name": name}) for name in "0123456789")
    split = SplitMetrics(
        samples=1500, accuracy=0.9, loss=0.3, classes=classes, confusion=((0,) * 10,) * 10, halves=(0.8, 1),
        first_labels=(1, 2, 3), first_predictions=(1, 2, 4),
    )  # fmt: skip
    rows = [(1, 0.5), (2, 0.25), (3, 0.25), (4, 0.4)]
    epochs = tuple(
        EpochRow(epoch=epoch, loss=1, accuracy=0.5, validation_loss=loss, validation_accuracy=0.5)
        for epoch, loss in rows
    )
    figure = Illustration(b"<svg/>", "a figure")
    return Page(
        dataset=load_dataset("digits"),
        training=Training(),
        profile="tutorial",
        settings=(Setting("epochs", "7", "passes", "50"), Setting("seed", "123", "of all", "")),
        history=History(train_rows=1350, validation_rows=150, updates=88, kept=4, epochs=epochs),
        metrics=Metrics(train=split, test=split),
        statistics={"train": split_statistics(), "test": split_statistics()},
        normalizer=NormalizerFacts(samples=1500, shape=(8, 8), sum=1, sum_of_squares=1, std=0.5),
        proofs=(),
        contents={"train table": "0" * 64},
        confusions=(),
        mistakes=(),
        hints=Hints(images=1500, agreed=1400, worth=0, first=()),
        figures=dict.fromkeys(("loss", "accuracy", "samples", "confusion"), figure),
    )


def test_numbers_are_written_for_people() -> None:
    """Shares are per cent with a space that does not break, whole numbers have their thousands apart."""
    assert percent(0.9606) == "96.06\N{NO-BREAK SPACE}%"
    assert percent(1, 1) == "100.0\N{NO-BREAK SPACE}%"
    assert thousands(1567298545) == "1,567,298,545"


def test_what_voids_the_headline_stands_beside_it(page: Page) -> None:
    """A caveat is in the page's head, below the figures that it is about; a sound result has none."""
    leaky = page.metrics.model_copy(update={"leaked": 30, "unseen_accuracy": 0.8})
    head = render(replace(page, metrics=leaky)).partition("</header>")[0]
    note = "<strong>Caveat</strong>: 30 of 1,500 test images (2.00 %) occur in the train split; accuracy on the"
    assert head.index("Test accuracy") < head.index(note) < head.index("Data set")
    assert "Caveat" not in render(page)


def test_a_page_about_colours_says_so(page: Page) -> None:
    """The size names the colours, the figures say that they are over all channels, and the caveat stands on top."""
    described = page.dataset.model_dump()
    for split in described["splits"].values():
        split["spec"]["shape"] = [8, 8, 3]
    shape = ImageSpec.model_validate([8, 8, 3])
    statistics = dict.fromkeys(("train", "test"), split_statistics().model_copy(update={"shape": shape}))
    metrics = page.metrics.model_copy(update={"shape": shape})
    data = type(page.dataset).model_validate(described)
    shown = render(replace(page, dataset=data, metrics=metrics, statistics=statistics))
    assert "<dd>digits, 8 \N{MULTIPLICATION SIGN} 8 pixels in colour</dd>" in shown
    assert "Both splits; red, green and blue from 0 to 255, each figure over all three. Blank is" in shown
    assert '<th scope="col" class="number">Not black</th>' in shown
    assert "counts as drift. The mean is over all three channels: another hue alone is not noticed.</p>" in shown
    assert "<dd>192 → 50 → 50 → 10</dd>" in shown
    assert "<strong>Caveat</strong>: Images are in colour: for photographs a" in shown.partition("</header>")[0]
    grey = render(page)
    assert "<dd>digits, 8 \N{MULTIPLICATION SIGN} 8 pixels</dd>" in grey
    assert "Both splits; pixels from 0, black, to 255." in grey
    assert "Not black" not in grey
    assert "counts as drift.</p>" in grey


def test_findings_are_told_with_their_ids(page: Page) -> None:
    """Each finding of validation is there with its ids, and a split without one is called sound."""
    finding = Finding(check="duplicate", message="32 images <twice>", count=32, sample_ids=tuple(range(20)))
    group = DuplicateGroup(images=32, sample_ids=tuple(range(20)), labels=(3, 5))
    statistics = {"train": split_statistics(finding, duplicates=(group,)), "test": split_statistics()}
    shown = render(replace(page, statistics=statistics))
    assert "32 images &lt;twice&gt;" in shown
    assert f"Sample ids of the first 20: {', '.join(map(str, range(20)))}</span>" in shown
    assert shown.count("nothing unusual was found") == 1
    assert '<td class="mark">3, 5</td>' in shown
    assert "Equal images" not in render(page)


def test_a_changed_setting_shows_the_usual_value(page: Page) -> None:
    """The headline and the table say what differs from the profile, and from which value."""
    shown = render(page)
    assert "tutorial, but for epochs" in shown
    assert '<span class="mark">7</span> <span class="muted">not&nbsp;50</span>' in shown
    assert "Exactly the profile tutorial" in render(replace(page, settings=page.settings[1:]))


def test_one_thing_is_in_the_singular(page: Page) -> None:
    """A training of one epoch and one update, on one row, speaks of one each."""
    history = page.history.model_copy(update={"epochs": page.history.epochs[:1], "updates": 1, "train_rows": 1})
    shown = render(replace(page, history=history))
    assert "After 1 epoch the train rows" in shown
    assert "(1 update)" in shown
    assert "classes from 1 image, and names" in shown


def test_the_best_epoch_is_the_first_of_equals(page: Page) -> None:
    """The lowest validation loss counts, and the earliest epoch that has it."""
    assert page.best is not None
    assert page.best.epoch == 2
    assert "0.2500, after epoch 2" in render(page)


@pytest.mark.parametrize(
    ("epochs", "told"),
    [
        (4, "The model is from epoch 2 of 4."),
        (9, "The model is from epoch 2 of 4: 2 more brought no lower loss, and ended the training before epoch 9."),
    ],
)
def test_early_stopping_is_told(page: Page, epochs: int, told: str) -> None:
    """With patience the page says which epoch the model is from, of how many, and whether training ended early."""
    history = page.history.model_copy(update={"kept": 2})
    shown = render(replace(page, training=Training(epochs=epochs, patience=2), history=history))
    assert f"0.2500, after epoch 2. {told}</p>" in shown
    assert "<dd>4 (88 updates), the model from epoch 2</dd>" in shown
    assert "model is from" not in render(page)
    assert "<dd>4 (88 updates)</dd>" in render(page)


def test_the_page_says_which_rows_were_held_out(page: Page) -> None:
    """How many, of how many, which, and what is odd about them."""
    assert "<dt>Held out</dt><dd>150 of 1,500 train rows, the last ones</dd>" in render(page)
    history = page.history.model_copy(update={"way": "stratified", "findings": ("No row of <b> is held out",)})
    shown = render(replace(page, history=history))
    assert "<dd>150 of 1,500 train rows, stratified</dd>" in shown
    assert "<strong>Held-out rows</strong>: No row of &lt;b&gt; is held out" in shown


def test_of_many_classes_the_largest_are_listed(page: Page) -> None:
    """Above 256 classes both tables of classes list the 256 with the most test images, and say of how many."""
    names = tuple(f"kind-{number}" for number in range(10_000))
    one = page.metrics.test.classes[0]
    classes = tuple(
        one.model_copy(update={"name": name, "support": number % 5000}) for number, name in enumerate(names)
    )
    statistics = split_statistics().model_copy(update={"classes": names, "class_counts": (7,) * len(names)})
    described = page.dataset.model_dump()
    for split in described["splits"].values():
        split["spec"]["classes"] = names
    shown = render(
        replace(
            page,
            dataset=type(page.dataset).model_validate(described),
            metrics=Metrics(train=page.metrics.train, test=page.metrics.test.model_copy(update={"classes": classes})),
            statistics={"train": statistics, "test": statistics},
        )
    )
    assert shown.count("Of 10,000 classes the 256 with the most test images.") == 2
    assert "The 60 largest of 10,000 classes." in shown
    assert "The first image of the 100 largest classes each" in shown
    listed = re.findall(r'<th scope="row">kind-(\d+)</th>', shown)
    assert [int(number) for number in listed] == [*range(4872, 5000), *range(9872, 10_000)] * 2
    assert len(shown) < 200_000


def test_an_alternative_text_is_escaped(page: Page) -> None:
    """Whatever an image is said to show cannot leave its attribute."""
    figures = {**page.figures, "loss": Illustration(b"<svg/>", '"><b onload="x')}
    shown = render(replace(page, figures=figures))
    assert 'alt="&#34;&gt;&lt;b onload=&#34;x"' in shown
    assert "<b" not in shown.split("<main>")[1].replace("<br>", "")


def test_doubtful_labels_are_listed(page: Page) -> None:
    """Each has its sample id, label and prediction, beside the picture and the count of all; or it says: none."""
    hint = Hint(sample_id=41, label=3, predicted=8, probability=0.75, loss=4.5, excess=4.25)
    figures = {**page.figures, "hints": Illustration(b"<svg/>", "the doubtful ones")}
    shown = render(replace(page, hints=Hints(images=1500, agreed=1400, worth=60, first=(hint,)), figures=figures))
    section = shown.partition('<section id="labels">')[2].partition("</section>")[0]
    assert "doubts 60 labels of 1,500 train images" in section
    assert "the doubtful ones" in section
    cells = re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", section.partition("<tbody>")[2])
    assert cells == ["41", "3", "8", "75.00\N{NO-BREAK SPACE}%", "4.50", "4.25"]
    assert "None stands out: of 1,500 train images the model names 1,400 as they are labelled" in render(page)


def test_corrected_labels_are_told(page: Page) -> None:
    """How many, by which file with its digest, by whom and why: as text, whatever it holds."""
    rows = tuple(
        Correction(line=n + 2, sample=n, label=7, who="<b>Ada</b>", why="turned \u202eover\x1b[2J") for n in range(30)
    )
    corrections = Corrections(name="corrections.csv", sha256="ab" * 32, labels=30, rows=rows)
    train = page.dataset.splits["train"].model_copy(update={"corrections": corrections})
    data = page.dataset.model_copy(update={"splits": {**page.dataset.splits, "train": train}})
    shown = render(replace(page, dataset=data))
    assert "30 train labels corrected by corrections.csv, SHA-256 abababababababab." in shown
    assert shown.count("<td>&lt;b&gt;Ada&lt;/b&gt;</td><td>turned \\u202eover\\x1b[2J</td>") == 20
    assert "The first 20 of them" in shown
    assert "corrected by" not in render(page)

"""The model card: what is known is told, what is not is said to be missing, and words from outside stay words."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from artifacts.archive.lineage import Source
from artifacts.keys import KeyParts
from artifacts.manifest import Manifest
from idxflow.exporting.formats.form import FORMATS, FormatName
from idxflow.exporting.model_card import Card, as_text, describe_method, render
from idxflow.exporting.proof import FormatProof
from schemas.image_spec import ImageSpec
from schemas.results import Metrics
from schemas.training import Training
from tests.artifacts.archive.making import MACHINE
from tests.idxflow.exporting.model_line import DIGITS, history, metrics

SPEC = DIGITS.splits["train"].spec
PARTS = KeyParts(stage="train", parameters={}, inputs={}, code={}, packages={"keras": "3.15.1"})


@pytest.fixture
def card() -> Card:
    """The card of a small model of the digits."""
    model = Manifest(
        stage="train", name="", version=PARTS.version, key=PARTS.key, parts=PARTS, inputs=(), files={}, digest="d" * 64,
        summary={"weights": 6310}, created="2026-01-01T12:00:00+00:00", seconds=1, environment=MACHINE,
        run="a" * 12, flow_run="",
    )  # fmt: skip
    file = Source(name="images.gz", bytes=1234, sha256="b" * 64, mirror="https://x/", checksum="published")
    return Card(
        model=model, spec=SPEC, title="Digits", source="E. Alpaydin; CC BY 4.0", files=(("train", file),), findings=(),
        training=Training(epochs=1, hidden=(7,)), history=history(), metrics=metrics(),
        contents={"model.keras": "the model"},
    )  # fmt: skip


def test_the_card_tells_what_is_known(card: Card) -> None:
    """Task, use, source and licence, checksums, layers, settings, figures of both splits and each class, origin."""
    said = render(card)
    for words in (
        "# A classifier for Digits\n",
        "an image of 8 x 8 grey pixels and gives a probability for each of 10 classes.",
        "Its test accuracy is 90.00 %, on 297 test images.",
        "| [model.keras](model.keras) | the model |",
        "Source and licence: E. Alpaydin; CC BY 4.0.",
        f"| train | images.gz | 1.2 kB | `{'b' * 64}` | published |",
        "Layers: 64 - 7 - 10; hidden units tanh, softmax at the end; 6,310 weights.",
        "The `tutorial` profile, but for hidden, epochs:",
        "by stochastic gradient descent with momentum on the cross-entropy.\n",
        r"| learning\_rate | 0.001 | step size before the schedule lowers it |",
        "| test | 297 | 90.00 % | 0.3000 |",
        "| train | 1,500 | 98.00 % | 0.3000 |",
        "the test accuracy is 86.06 % to 92.92 % (Wilson's 95 % interval)",
        "1 epoch, 22 updates, by",
        "| 9 | 30 | 90.00 % | 86.00 % |  | 90.00 % | 30 | 86.00 % |",
        "- The weakest class is 9: 86.00 % of its test images are classified right.",
        "- 3 of 30 test images of 9 are classified as 4.",
        f"| model | `{PARTS.version}`, content `{'d' * 64}` |",
        "| made | 2026-01-01T12:00:00+00:00, by run `aaaaaaaaaaaa` |",
        "| source | idxflow 0.1.0, commit `8287eba9072dc71bd2f10956453801163627fd05` |",
        r"| on | Python 3.12.1, Linux x86\_64, 2 cores |",
        "sha256sum -c SHA256SUMS",
        "safe_mode=True",
    ):
        assert words in said
    assert "uncommitted" not in said
    assert "published checksum" not in said
    assert "label_offset" not in said


def proof(name: FormatName, **found: object) -> FormatProof:
    """What a format was found to give."""
    known: dict[str, object] = {"format": name, "file": "model", "images": 10_000, "equal": 10_000, "ties": 0}
    known |= {"accuracy": 0.9625, "stored_accuracy": 0.963, "largest_difference": 1.3e-6}
    known |= {"exact": True, "packages": {"reader": "1.2"}}
    return FormatProof.model_validate(known | found)


def test_what_was_proved_is_told(card: Card) -> None:
    """Each format has its row, its way to be used, and what differs; a signature says how it is verified."""
    said = render(
        replace(
            card, formats=FORMATS, signed="c" * 64, figures=("figures/confusion.svg", "figures/loss.svg"),
            proofs=(proof("onnx", ties=2, equal=9_998), proof("litert-int8", exact=False, equal=9_990)),
        )
    )  # fmt: skip
    for words in (
        "in batches of 1, 7, 64 and 1,000 images in turn",
        "up to 5e-06 is another order of summation",
        "| onnx | 10,000 | 9,998 | 1.3e-06 | 96.25 % | reader 1.2 |",
        "Of onnx, 2 images had another class that is as probable",
        "litert-int8 is another model",
        "python score.py images.npy",
        "for images that `numpy.save` has written: uint8 (n, 8, 8)",
        'Interpreter(model_path="model.tflite")',
        'Interpreter(model_path="model-int8.tflite")',
        'model.signatures["serving_default"](pixels=pixels)',
        "![Confusion matrix](figures/confusion.svg)",
        f"its SHA-256 is `{'c' * 64}`",
    ):
        assert words in said
        assert words not in render(card)


def test_only_the_formats_of_the_folder_are_explained(card: Card) -> None:
    """A folder without a Keras file has no word of loading one, and begins with what it has."""
    said = render(replace(card, formats=("onnx",), proofs=(proof("onnx"),), unproved=""))
    assert "load_model" not in said
    assert "\nWith [model.onnx](model.onnx), which needs neither TensorFlow nor Keras" in said
    assert "litert" not in said
    plain = render(replace(card, unproved="its evaluation is no longer in the store"))
    assert "Nothing, since its evaluation is no longer in the store. The file is the one that was stored" in plain
    assert "model_signing" not in plain


@pytest.mark.parametrize("shape", [(8, 8), (4, 4, 3)])
def test_the_snippets_are_programs(shape: tuple[int, ...], card: Card) -> None:
    """Every snippet of Python in the card can be compiled, for grey images and for colour."""
    spec = SPEC.model_copy(update={"shape": ImageSpec.model_validate(list(shape))})
    snippets = re.findall(r"```python\n(.*?)```", render(replace(card, spec=spec, formats=FORMATS)), re.DOTALL)
    assert len(snippets) == 4
    for snippet in snippets:
        compile(snippet, "snippet", "exec")


def test_a_card_about_colours_says_so(card: Card) -> None:
    """Task, snippet, normalisation and caveat are those of colour images; the grey card has none of it."""
    shape = ImageSpec.model_validate([32, 30, 3])
    spec, found = SPEC.model_copy(update={"shape": shape}), metrics().model_copy(update={"shape": shape})
    said, grey = render(replace(card, spec=spec, metrics=found)), render(card)
    for words in (
        "an image of 32 x 30 colour pixels and gives",
        "- **Caveat:** Images are in colour: for photographs a perceptron is the wrong network.",
        "Layers: 2880 - 7 - 10;",
        "# red, green and blue of a pixel are its last axis, in this order.\nimages = np.zeros((1, *shape), np",
        'map(str, shape))}), the last axis red, green, blue"\n',
        "; the mean is of each pixel and channel, the deviation of all channels together.\n",
    ):
        assert words in said
        assert words not in grey
    assert "as in the data set's files.\nimages = np.zeros((1, *shape), np.uint8)\n" in grey


def test_the_method_is_that_of_the_configuration(card: Card) -> None:
    """Optimizer, its means, smoothed labels and moved images are told where they were used, and only there."""
    said = render(replace(card, training=Training(profile="tuned", epochs=1)))
    assert "by Adam with decoupled weight decay and dropout on the cross-entropy of smoothed labels.\n" in said
    assert "it was shifted at random by at most 2 pixels each way.\n" in said
    assert "- Images that are inverted, shifted by more than 2 pixels, or scaled" in said
    plain = render(card)
    assert "shifted at random" not in plain
    assert "- Images that are inverted, shifted, or scaled" in plain
    for fields, words in (
        ({"momentum": 0}, "stochastic gradient descent on the cross-entropy"),
        ({"dropout": 0.1, "weight_decay": 0.1}, "descent with momentum, decoupled weight decay and dropout on the"),
        ({"optimizer": "adamw"}, "Adam on the cross-entropy"),
    ):
        assert words in describe_method(Training.model_validate(fields))


def test_the_epoch_is_told_where_it_was_chosen(card: Card) -> None:
    """With a patience the card says after which epoch the weights are; without one they are the last one's."""
    early = replace(card, training=Training(epochs=9, patience=2))
    assert (
        "updates, by stochastic gradient descent with momentum on the cross-entropy; the weights are those after"
        in (said := render(early))
    )
    assert f"after epoch {card.history.kept}, which had the lowest validation loss.\n" in said
    assert "weights are those after" not in render(card)


def test_a_card_without_an_evaluation_says_so(card: Card) -> None:
    """Where metrics are missing, three places say it and no figure is made up."""
    said = render(replace(card, metrics=None))
    assert "**No metrics**: no evaluation of it was stored when it was exported." in said
    assert "None. To get them, run the pipeline again" in said
    assert "- Its quality is unknown." in said
    assert "| test |" not in said


def test_what_is_not_known_is_said_to_be_missing(card: Card) -> None:
    """Without a report there is no licence, without downloads no file, and without git no commit."""
    model = card.model.model_copy(
        update={"environment": MACHINE.model_copy(update={"git_commit": None, "packages": {}})}
    )
    said = render(replace(card, model=model, source="", files=()))
    assert "Its source and licence are unknown" in said
    assert "Its files are no longer known" in said
    assert "idxflow of an unknown version, not from a git checkout" in said


def test_whatever_weakens_the_model_is_a_caveat(card: Card) -> None:
    """Findings of validate, files that were trusted on first use, and uncommitted changes are told."""
    split, file = card.files[0]
    model = card.model.model_copy(update={"environment": MACHINE.model_copy(update={"git_dirty": True})})
    first = file.model_copy(update={"checksum": "first use"})
    said = render(replace(card, model=model, files=((split, first),), findings=("train split: 2 images are blank",)))
    odd = card.history.model_copy(update={"way": "stratified", "findings": ("No row of b is held out",)})
    held = render(replace(card, history=odd))
    assert "held out for validation: 150 of 1,500 train rows, stratified:" in held
    assert "- About the held-out rows: No row of b is held out" in held
    assert "- About the data: train split: 2 images are blank" in said
    assert "| trusted on first use |" in said
    assert "- Not every file of the data set has a published checksum" in said
    assert "- It was made with uncommitted changes in the source" in said
    assert "fd05` and uncommitted changes |" in said


def test_the_label_offset_is_explained(card: Card) -> None:
    """Where the set's own labels do not begin at 0, the card says how they differ from the model's classes."""
    said = render(replace(card, spec=SPEC.model_copy(update={"label_offset": 1})))
    assert "the data set's own files call it `i + 1`, that is `label_offset`." in said


def test_what_voids_the_headline_stands_below_it(card: Card) -> None:
    """A leak, a majority and a gap are said where the accuracy is, before anything else; without them nothing is."""
    found = metrics().model_copy(update={"leaked": 99, "unseen_accuracy": 0.85})
    said = render(replace(card, metrics=found))
    assert (
        "297 test images.\n\n- **Caveat:** 99 of 297 test images (33.33 %) occur in the train split; accuracy on the "
        "unseen ones: 85.00 % of 198.\n- **Caveat:** Test accuracy is 8.00 points below train accuracy" in said
    )
    train = found.train.model_copy(update={"accuracy": 0.92})
    sound = found.model_copy(update={"leaked": 0, "train": train})
    assert "297 test images.\n\n| file |" in render(replace(card, metrics=sound))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"label_values": tuple(range(0, 100, 10))}, "the data set's own files call it entry `i` of `label_values`."),
        ({"labels": "one-hot"}, "in the data set's own files, which are one-hot, it is column `i`."),
        ({"transpose": True}, "swap their rows and columns first, as in `images.swapaxes(1, 2)`."),
    ],
)
def test_what_the_files_hold_otherwise_is_explained(card: Card, changes: dict[str, object], told: str) -> None:
    """Where the set's own files call classes by other values, or hold images on their side, the card says so."""
    assert told in render(replace(card, spec=SPEC.model_copy(update=changes)))
    assert told not in render(card)


def test_names_from_outside_stay_words(card: Card) -> None:
    """A class name or title with marks of Markdown or HTML is shown as it is, in one cell and on one line."""
    odd: Metrics = metrics()
    name = "a|b\n<script> *_`"
    classes = (odd.test.classes[0].model_copy(update={"name": name}), *odd.test.classes[1:])
    odd = odd.model_copy(update={"test": odd.test.model_copy(update={"classes": classes})})
    said = render(replace(card, title=name, metrics=odd))
    assert r"# A classifier for a\|b \<script\> \*\_\`" in said
    assert r"| a\|b \<script\> \*\_\` | 30 |" in said
    assert as_text("plain words, 1.5") == "plain words, 1.5"

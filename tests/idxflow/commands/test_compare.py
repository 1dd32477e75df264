"""What `idxflow compare` prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from artifacts.store.files import remove_folder
from artifacts.store.store import Store
from flows.run_record import RunRecord
from idxflow.cli.commands.compare import compare
from idxflow.cli.ending import DONE, WRONG_USAGE
from idxflow.cli.main import main
from idxflow.comparing.comparison import Comparison, compare_runs
from idxflow.views.comparison import print_comparison
from idxflow.views.layout import local_time
from schemas.errors import UsageError
from schemas.training import Training
from tests.idxflow.comparing.compared_runs import CODE, ENVIRONMENT, finished_run
from tests.idxflow.conftest import Screen

A, B = "a1" * 6, "b2" * 6
WHOLE = """\
   run           started           data set  profile   model
A  a1a1a1a1a1a1  {started}  animals   tutorial  {a}
B  b2b2b2b2b2b2  {started}  animals   tutorial  {b}

Parameters
                 A    B  used by
  training.seed  123  7  train

Data: the same

Code
                              A        B        used by
  tasks/fitting/network.py    present  differs  5 stages
  tasks/explaining/page.html  present  -        5 stages
  tasks/new.py                -        present  5 stages

Environment of the training: the same

Metrics
                                     A         B           B - A
  train accuracy              100.00 %  100.00 %    +0.00 points
  train first half accuracy   100.00 %  100.00 %    +0.00 points
  train second half accuracy  100.00 %  100.00 %    +0.00 points
  train loss                    0.2500    0.2500         +0.0000
  test accuracy               100.00 %   50.00 %   -50.00 points
  test first half accuracy    100.00 %  100.00 %    +0.00 points
  test second half accuracy   100.00 %    0.00 %  -100.00 points
  test loss                     0.2500    0.8750         +0.6250

Recall of the test images, by class
  class  images         A        B           B - A
  owl         2  100.00 %   0.00 %  -100.00 points
  dog         2  100.00 %  50.00 %   -50.00 points
  and 1 class with the same recall in both

Is the difference in test accuracy significant?
  No (p = 0.25): neither is better by more than chance
  Exact McNemar test, level 0.05: only A gets 3 images right, only B 0

Test images that only A gets right: 3
  sample_id  label  A predicts  probability  B predicts  probability
          3  dog    dog             75.00 %  cat             75.00 %
          4  owl    owl             75.00 %  cat             75.00 %
  and 1 more, which --images 3 shows

Test images that only B gets right: 0
"""


@pytest.fixture
def home(desk: Path) -> Path:
    """A home folder with two runs of one data set."""
    store = Store(desk / "home")
    finished_run(store, A)
    code = {"tasks/fitting/network.py": "9" * 64, "tasks/new.py": "3" * 64}
    finished_run(store, B, (0, 0, 1, 0, 0, 0), training=Training(seed=7), code=code)
    return store.home


def record(home: Path, run: str) -> RunRecord:
    """Return a run's record."""
    return RunRecord.model_validate_json((home / "runs" / f"{run}.json").read_bytes())


def test_two_runs_are_shown_side_by_side(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that differs, in sections; what is the same is said to be; the models by their versions."""
    assert compare(A[:3], B[:3], images=2, home=str(home)) == DONE
    models = [record(home, run).stages[-2].version for run in (A, B)]
    expected = WHOLE.format(a=models[0], b=models[1], started=local_time(record(home, A).started))
    assert capsys.readouterr().out.splitlines() == expected.splitlines()


def test_a_run_against_itself_is_all_the_same(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run held against itself: every section says so, and chance explains the rest."""
    assert compare(A, A, home=str(home)) == DONE
    text = capsys.readouterr().out
    titles = ("Parameters", "Data", "Code", "Environment of the training")
    assert "\n\n" + "\n".join(f"{title}: the same" for title in titles) + "\n\nMetrics\n" in text
    assert "\n\nRecall of the test images, by class: the same\n\n" in text
    assert "  No (p = 1): neither is better by more than chance\n" in text


def test_json_is_one_document_with_every_image(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints the comparison and nothing else, with all images whatever `--images` says."""
    assert compare(A, B, images=0, home=str(home), json=True) == DONE
    output, errors = capsys.readouterr()
    found = Comparison.model_validate_json(output)
    assert found.disagreement
    assert [image.sample_id for image in found.disagreement.only_a_right] == [3, 4, 5]
    assert not errors


def test_a_difference_beyond_chance_is_said_to_be(desk: Path, screen: Screen) -> None:
    """Where one model wins all of many images, this is more than chance, and a tiny p is told as a bound."""
    store, labels = Store(desk / "home"), [1] * 40
    one = finished_run(store, A, [0] * 40, labels=labels)
    other = finished_run(store, B, labels, labels=labels)
    print_comparison(screen, compare_runs(store, one, other), images=0)
    text = screen.text.getvalue()
    assert "  Yes (p < 0.0001): B is better\n" in text
    assert "only A gets 0 images right, only B 40\n" in text
    assert text.endswith("Test images that only B gets right: 40\n  and 40 more, which --images 40 shows\n")


def test_the_better_one_is_named_whichever_it_is(desk: Path, screen: Screen) -> None:
    """The same two the other way around: it is A that is better."""
    store, labels = Store(desk / "home"), [1] * 40
    one = finished_run(store, A, [0] * 40, labels=labels)
    other = finished_run(store, B, labels, labels=labels)
    print_comparison(screen, compare_runs(store, other, one), images=0)
    assert "  Yes (p < 0.0001): A is better\n" in screen.text.getvalue()


def test_a_comparison_is_written_as_a_page(home: Path, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--html` leaves one file that asks for nothing and runs nothing, with what the console says."""
    assert main(["compare", A, B, "--home", str(home), "--html", "page.html"]) == DONE
    assert capsys.readouterr().out.endswith("\nWritten:         page.html\n")
    page = (desk / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    for words in ("neither is better by more than chance", "1 other", A, B):
        assert words in page, words
    assert "<script" not in page
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", page)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("there.html", "there.html: expected a new file, found one that is there."),
        ("page.txt", "page.txt: expected the ending .html, found the ending .txt."),
        ("page", "page: expected the ending .html, found no ending."),
        ("no/where.html", "no/where.html: expected a folder to write to, found none."),
    ],
)
def test_a_page_replaces_nothing(
    target: str, words: str, home: Path, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no page can go, that is told before anything is compared, and what is there stays."""
    (desk / "there.html").write_text("mine")
    assert main(["compare", A, B, "--home", str(home), "--html", target]) == WRONG_USAGE
    output, errors = capsys.readouterr()
    assert words in errors
    assert not output
    assert (desk / "there.html").read_text() == "mine"


def test_why_chance_cannot_be_asked_is_said(desk: Path, screen: Screen) -> None:
    """Different test images: the reason stands in the verdict's place, both supports are told, no image is shown."""
    store = Store(desk / "home")
    one = finished_run(store, A)
    other = finished_run(store, B, (0, 0), labels=(0, 2), table=b"another", dataset="birds")
    print_comparison(screen, compare_runs(store, one, other), images=5)
    text = screen.text.getvalue()
    assert "  Not tested: the models were tested on different images: the content" in text
    assert "  owl     2 / 1  100.00 %  0.00 %  -100.00 points\n" in text
    assert "  file.shards.0.of  animals  birds  download of images.gz\n" in text
    assert "only A gets right" not in text


def test_runs_without_a_common_class_are_said_to_be_that(desk: Path, screen: Screen) -> None:
    """Where no class is common, the recalls are not said to be the same."""
    store = Store(desk / "home")
    one, other = finished_run(store, A), finished_run(store, B, table=b"another", classes=("elk", "emu", "ant"))
    print_comparison(screen, compare_runs(store, one, other), images=5)
    assert (
        "\nRecall of the test images, by class\n  Not compared: the runs have no class in common.\n"
        in screen.text.getvalue()
    )


def test_what_is_gone_is_said_and_the_rest_shown(home: Path, screen: Screen) -> None:
    """After a clean-up: what is gone, accuracy and loss out of the records, and why the images cannot be asked."""
    store, one, other = Store(home), record(home, A), record(home, B)
    for row in one.stages[3:]:
        remove_folder(store.folder(row.stage, row.version))
    print_comparison(screen, compare_runs(store, one, other), images=5)
    text = screen.text.getvalue()
    assert "\nNo longer in the store, and not compared\n  A  normalize, train, evaluate\n\n" in text
    assert "\nEnvironment of the training: not compared\n" in text
    assert "  test accuracy   100.00 %   50.00 %  -50.00 points\n" in text
    assert "first half" not in text
    assert text.endswith(
        "\nIs the difference in test accuracy significant?\n"
        "  Not tested: the evaluation of A is no longer in the store.\n"
    )


def test_many_differences_are_cut_short(desk: Path, screen: Screen) -> None:
    """A section shows its first 20 differences and counts the others."""
    store = Store(desk / "home")
    one = finished_run(store, A)
    other = finished_run(
        store, B, training=Training(seed=7), code=CODE | {f"tasks/{n}.py": "5" * 64 for n in range(23)}
    )
    print_comparison(screen, compare_runs(store, one, other), images=5)
    text = screen.text.getvalue()
    assert "  tasks/19.py  -  present" in text
    assert "tasks/20.py" not in text
    assert "  and 3 more, which --json shows\n" in text


def test_long_values_are_shortened_unless_they_begin_alike(desk: Path, screen: Screen) -> None:
    """A long value stands by its beginning; two that begin alike stand in full."""
    store = Store(desk / "home")
    commits = [ENVIRONMENT.model_copy(update={"git_commit": digit * 40}) for digit in "ef"]
    one = finished_run(store, A, environment=commits[0])
    other = finished_run(store, B, training=Training(seed=7, hidden=(50,) * 11 + (9,)), environment=commits[1])
    third = finished_run(store, "c3" * 6, training=Training(seed=7, hidden=(50,) * 11 + (8,)), environment=commits[0])
    print_comparison(screen, compare_runs(store, one, other), images=5)
    assert f"  git_commit  {'e' * 16}...  {'f' * 16}...\n" in screen.text.getvalue()
    print_comparison(screen, compare_runs(store, third, other), images=5)
    fifties = ", ".join(["50"] * 11)
    assert f"  training.hidden  [{fifties}, 8]  [{fifties}, 9]  train\n" in screen.text.getvalue()


def test_a_number_of_images_is_a_whole_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is rounded: half an image is wrong usage."""
    assert main(["compare", A, B, "--images", "1.5", "--home", str(home)]) == WRONG_USAGE
    assert "--images: expected a whole number at least 0, found '1.5'" in capsys.readouterr().err


def test_a_wrong_word_is_refused(home: Path) -> None:
    """A word that stands for no run is wrong usage, and so is a home folder without a store."""
    with pytest.raises(UsageError, match="'zzz'"):
        compare(A, "zzz", home=str(home))
    with pytest.raises(UsageError, match="expected a store"):
        compare(A, B, home=str(home / "nowhere"))

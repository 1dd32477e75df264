"""
The gate: whether a run's model takes an alias from the one that has it, and the move of the alias once that is decided.

The verdict is an artifact like any other, made by the stage promote. The alias is moved after it is committed, and only
if the alias still stands for what the verdict was about: two runs at once do not overwrite one another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from artifacts.archive.aliases import Place, place_for, sets_of
from artifacts.archive.index import RunIndex
from artifacts.archive.lookup import MODEL, find_stored
from artifacts.archive.name_records import AT, split_word
from artifacts.archive.names import GATE, Names
from artifacts.bundle import BUNDLE
from artifacts.current import CurrentRun, current_run
from artifacts.keys import digest_of
from artifacts.manifest import Manifest
from artifacts.ref import Ref
from artifacts.store.bundles import spread_inputs, spread_refs
from artifacts.store.store import Store
from schemas.errors import ArtifactDamaged, StoreError
from schemas.verdict import VERDICT, Promotion, Terms, Verdict
from tasks.formats.table import Parts, digest_of_parts, parts_of
from tasks.promote import promote

if TYPE_CHECKING:
    from artifacts.engine.recorder import Recorder

TABLE, SCORES = "parse", "evaluate"
"""The stages of the test table, and of what a model said of it."""
T = TypeVar("T")
MOVES = 3
"""How often a verdict is made anew where the alias has been moved meanwhile."""


@dataclass(frozen=True)
class Wanted:
    """
    What is to be promoted, and how.

    Args:
        alias: the word for it, perhaps with its data set.
        floor: test accuracy in [0, 1] that is the least; None: any will do.
        force: a person's reason to promote whatever is found; None: nobody has one.
    """

    alias: str
    floor: float | None = None
    force: str | None = None


@dataclass(frozen=True)
class Bout:
    """
    A candidate and who it is held against.

    Args:
        place:    of the alias.
        champion: what the alias stands for: stage and version; None: nothing.
        standing: whether that is the candidate itself, by its content.
        scores:   evaluate's of the champion; None where there is none.
        terms:    by what the gate judges.
    """

    place: Place
    champion: tuple[str, str] | None
    standing: bool
    scores: Ref | None
    terms: Terms


@dataclass
class Gate:
    """
    The gate of one run; it is asked once in each walk of the graph.

    Args:
        dataset: identity of the candidate's data set; empty: that of the current run.
        ask:     called with the name of an alias, as in its file, and the data set that it has to be of, before it is
                 looked at: other hosts may have moved it.
        bout:    of the last walk; None before it.
    """

    store: Store
    wanted: Wanted
    dataset: str = ""
    ask: Callable[[str, str], None] = lambda *_: None
    bout: Bout | None = field(default=None, init=False)

    def judge(self, model: Any, scores: Any, test: Any) -> Any:
        """
        Call promote in the current run.

        Args:    model, scores, test: what the calls of train, evaluate and parse have returned.
        Returns: what promote's call does.
        """
        run = current_run()
        self.dataset = self.dataset or run.dataset_id or run.dataset
        Names(self.store).refuse_flaws(self.wanted.alias)
        candidate, table = _known(run, model), _known_parts(run, test)
        if candidate is None or table is None:  # planned, and still to be computed
            return promote(scores, test, Terms(floor=self.wanted.floor, force=self.wanted.force))
        run.require(scores)  # they are read first, and what is dear has been trained by now
        self.bout = self._bout(candidate, _known(run, scores), table)
        return promote(scores, test, self.bout.terms, self.bout.scores)

    def settle(self, model: Ref, verdict: Ref, now: datetime) -> Promotion | None:
        """
        Move the alias if the verdict says so.

        Returns: what became of it; None: it has been moved meanwhile, and the verdict is void.
        Raises:  as `artifacts.archive.names.Names.promote`; RuntimeError: nothing was judged.
        """
        if (bout := self.bout) is None:
            raise RuntimeError("the gate has judged nothing yet")
        found = Verdict.model_validate_json(verdict.file(VERDICT).read_bytes())
        moved = found.promotes and not bout.standing
        if moved:
            force = found.force if found.outcome == "forced" else None
            artifact = model.stage, model.version
            if not Names(self.store).promote(bout.place.name, artifact, bout.champion, verdict.version, force, now):
                return None
        return Promotion(
            alias=bout.place.name,
            outcome=found.outcome,
            moved=moved,
            standing=bout.standing,
            words=found.words,
            verdict=verdict.version,
        )

    def _bout(self, candidate: Ref, scores: Ref | None, table: Parts) -> Bout:
        """Find out who the candidate is held against, and by what terms."""
        name, dataset = split_word(self.wanted.alias)
        for each in (f"{name}{AT}{self.dataset}", *(() if dataset else (name,))):
            self.ask(each, self.dataset)
        place = place_for(self.store, self.wanted.alias, {self.dataset}, new=True)
        champion = place.alias.artifact if place.alias else None
        terms = Terms(
            floor=self.wanted.floor,
            looks=self._looks(candidate, table),
            obstacle=self._across(place) if place.across else None,
            force=self.wanted.force,
        )
        if champion is None:
            return Bout(place, None, standing=False, scores=None, terms=terms)
        manifest = self.store.manifest(*champion)
        if manifest and (manifest.stage, manifest.digest) == (candidate.stage, candidate.digest):
            return self._standing(place, champion, scores, table, terms)
        found, tested_on = self._scores_of(manifest, digest_of_parts(table))
        if found is None and terms.obstacle is None:
            what = f"{'/'.join(champion)}, which is no model" if champion[0] != MODEL else "a model"
            gone = "" if champion[0] != MODEL else " whose evaluation is no longer stored"
            terms = terms.model_copy(update={"obstacle": f"{place.name} stands for {what}{gone}"})
        terms = terms.model_copy(update={"tested_on": tested_on})
        return Bout(place, champion, standing=False, scores=found, terms=terms)

    def _standing(
        self, place: Place, champion: tuple[str, str], scores: Ref | None, table: Parts, terms: Terms
    ) -> Bout:
        """Return the bout of a model that has the alias: the one by which it was promoted, as far as it is stored."""
        before = place.alias.history[-1].verdict if place.alias else None
        manifest = self.store.manifest(GATE, before) if before else None
        taken = next((each for each in manifest.inputs if each.argument == "champion"), None) if manifest else None
        found = self._sound(taken.stage, taken.version) if taken else None
        if manifest is None or (taken and found is None):
            terms = terms.model_copy(update={"tested_on": digest_of_parts(table)})
            return Bout(place, champion, standing=True, scores=scores, terms=terms)
        given = manifest.parts.parameters["terms"]
        known = {name: given[name] for name in ("looks", "tested_on", "obstacle", "force") if name in given}
        terms = Terms.model_validate({**known, "floor": terms.floor})
        return Bout(place, champion, standing=True, scores=found, terms=terms)

    def _scores_of(self, champion: Manifest | None, table: str) -> tuple[Ref | None, str | None]:
        """
        Find what evaluate said of a model: on a test table of this content, else on the newest.

        Returns: its reference, and the content digest of the table that it is about.
        """
        if champion is None or champion.stage != MODEL:
            return None, None
        of_it = [
            (
                _digest_of([each.digest for each in spread_inputs(self.store, one.inputs) if each.argument == "test"]),
                one,
            )
            for one in self.store.manifests(SCORES)
            if any(each.stage == MODEL and each.digest == champion.digest for each in one.inputs)
        ]
        for tested_on, one in sorted(of_it, key=lambda each: (each[0] == table, each[1].created), reverse=True):
            if found := self._sound(one.stage, one.version):
                return found, tested_on
        return None, None

    def _sound(self, stage: str, version: str) -> Ref | None:
        """Return an artifact that is stored and sound."""
        try:
            found = find_stored(self.store, stage, version)
        except ArtifactDamaged:
            return None
        return found.ref if found else None

    def _looks(self, candidate: Ref, table: Parts) -> int:
        """Count the models that runs have evaluated on test images of this content, the candidate among them."""
        digests = {part.digest for part in parts_of(table)}
        models = dict[str, set[str]]((digest, set()) for digest in digests)
        with RunIndex(self.store) as index:
            for each in self.store.manifests(TABLE):
                if each.digest in digests:
                    models[each.digest].update(index.companions(TABLE, each.version, candidate.stage, SCORES))
            for each in self.store.manifests(BUNDLE):  # runs that took a part in a bundle name that alone
                for digest in digests & {taken.digest for taken in each.inputs if taken.stage == TABLE}:
                    models[digest].update(index.companions(BUNDLE, each.version, candidate.stage, SCORES))
        return len({candidate.version, *set.intersection(*models.values())})

    def _across(self, place: Place) -> str:
        own = ", ".join(sorted(sets_of(self.store, place.alias))) if place.alias else split_word(place.name)[1]
        return f"the model is of {self.dataset}, and {place.name} is an alias of {own}"


def _known(run: CurrentRun, result: Any) -> Any:
    """Return the artifact that a stage's call returned, or that is stored already; None where it has to be computed."""
    return result if isinstance(result, Ref) else run.reference(result)


def _known_parts(run: CurrentRun, result: Any) -> Parts | None:
    """Return what `_known` does of each part of a split; None where one has to be computed."""
    if not isinstance(result, list):
        ref: Ref | None = _known(run, result)
        return ref
    found = [_known(run, each) for each in result]
    return None if any(each is None for each in found) else spread_refs(run.store, found)


def _digest_of(digests: list[str]) -> str:
    """Return the content digest of a split by those of its parts, as `tasks.formats.table.digest_of_parts`."""
    return "" if not digests else digests[0] if len(digests) == 1 else digest_of(digests)


def settled(
    run: Recorder, gate: Gate, walk: Callable[[], T], of: Callable[[T], tuple[Any, ...]]
) -> tuple[T, Promotion]:
    """
    Walk a graph that ends in a verdict, and move the alias; again, where the alias has been moved meanwhile.

    Args:
        walk: one attempt of the run's graph.
        of:   finds what the calls of train, of promote, and of what takes the verdict returned in what `walk` returns.
    Returns: what the last walk returned, and what became of the alias.
    Raises:  as `Recorder.attempt` and `Gate.settle`; StoreError: others moved it again and again.
    """
    left = MOVES
    while True:
        left -= 1
        done = run.attempt(walk)
        model, verdict, *pages = (_known(run, each) for each in of(done))
        if became := gate.settle(model, verdict, datetime.now(UTC)):
            return done, became
        run.retract(verdict, *pages)
        if not left:
            raise StoreError(
                f"alias {gate.wanted.alias}",
                expected="it to stay as it was while a model is judged",
                found=f"that others moved it {MOVES} times meanwhile",
                way_out="Run again: what is stored is not computed again.",
            )

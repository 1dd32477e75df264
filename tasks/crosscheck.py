"""Crosscheck: every train image scored by the network of the fold that has not seen it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.image_table import Batch
from schemas.model import MODEL
from schemas.parameters import Summary
from schemas.results import PREDICTIONS
from tasks.evaluate import check_fit, predict, write_predictions
from tasks.fitting.dealing import GROUPS, read_deal
from tasks.fitting.folds import deal_table
from tasks.formats.table import Parts, open_table
from tasks.inference.perceptron import Perceptron
from tasks.quality.scoring import Scores


class CrosscheckSummary(Summary):
    """How the networks did on images that they had not seen."""

    samples: int
    accuracy: float
    loss: float


@stage(packages=("numpy", "scipy"))
def crosscheck(models: list[Ref], table: Parts, out: Path, groups: Ref | None = None) -> CrosscheckSummary:
    """Score the train table: each row with the model of its fold, `models` in the order of the folds."""
    data = open_table(table)
    fold = deal_table(data, len(models), read_deal(groups.file(GROUPS)) if groups else None)
    networks = [Perceptron.read(model.file(MODEL)) for model in models]
    for network in networks:
        check_fit(network, data, "train")
    right, loss = 0, 0.0

    def batches() -> Iterator[tuple[str, Batch, Scores]]:
        nonlocal right, loss
        start = 0
        for batch in data.batches():
            of_rows = fold[start : start + len(batch.label)]
            start += len(batch.label)
            n = len(batch.label)
            scores = Scores(batch.label.astype(np.int64), np.empty(n, np.int64), np.empty(n), np.empty(n))
            for number, network in enumerate(networks):
                rows = np.flatnonzero(of_rows == number)
                if not len(rows):
                    continue
                found = predict(network, Batch(batch.sample_id[rows], batch.label[rows], batch.image[rows]))
                scores.predicted[rows], scores.probability[rows] = found.predicted, found.probability
                scores.loss[rows] = found.loss
            right += int((scores.predicted == scores.label).sum())
            loss += float(scores.loss.sum())
            yield "train", batch, scores

    content = write_predictions(out / PREDICTIONS, batches())
    return CrosscheckSummary(
        content={PREDICTIONS: content},
        samples=data.samples,
        accuracy=right / data.samples,
        loss=round(loss / data.samples, 6),
    )

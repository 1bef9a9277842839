"""The classifier of a head's classes, and the fit of new ones beside them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import logsumexp

from sniper_mmdet.released.few_shot import few_shot_start, train_few_shot

from .linear_classifier import fit_new_classes

#: Largest number of samples that stand for the known classes.
_REPLAYED = 20_000
#: Largest number of samples that stand for one known class.
_REPLAYED_EACH = 16


class ClassRows(NamedTuple):
    """Weights and statistics of the classes of a head, one row per class.

    Attributes:
        weight (ndarray (C, F)): Weights of the classifier.
        bias (ndarray (C,)): Its biases.
        means (ndarray (C, F)): Mean features of the objects of each class.
        counts (ndarray (C,)): How many objects the means are of.
        groups (ndarray (C,)): The super-class of each class.
    """

    weight: np.ndarray
    bias: np.ndarray
    means: np.ndarray
    counts: np.ndarray
    groups: np.ndarray

    def take(self, index: Sequence[int]) -> 'ClassRows':
        """Return the rows of some classes, in the order of ``index``."""
        return ClassRows(*(field[list(index)] for field in self))

    def and_these(self, other: 'ClassRows') -> 'ClassRows':
        """Return these rows and those of other classes below them."""
        return ClassRows(*map(np.concatenate, zip(self, other, strict=True)))


def rows_of(head: torch.nn.Module) -> ClassRows:
    """Return the rows of all classes of a :class:`DecoupledBBoxHead`."""
    fields = head.fc_fine.weight, head.fc_fine.bias
    fields += head.fine_means, head.fine_counts, head.super_of
    return ClassRows(*(field.detach().cpu().numpy() for field in fields))


class NewClassSolver:
    """Fits the classifier of new classes beside the rows of old ones.

    Args:
        head (DecoupledBBoxHead): The trained head.
        rows (ClassRows): The classes that it knows, which compete with the new
            ones.
        solver (str): 'lbfgs' or 'released', see
            :func:`~sniper_mmdet.apis.teach`.
        l2 (float): L2 penalty on the weights, for 'lbfgs'.
        sgd (tuple): (epochs, lr, momentum, batch_size), for 'released'.
        seed (int): Seed of the random numbers.
    """

    def __init__(
        self,
        head: torch.nn.Module,
        rows: ClassRows,
        solver: str,
        l2: float,
        sgd: tuple[int, float, float, int],
        seed: int,
    ) -> None:
        self.rows, self.l2, self.sgd, self.seed = rows, l2, sgd, seed
        self.solver = solver
        self.sigmoid = getattr(head.loss_fine, 'use_sigmoid', False)
        deviation = head.fine_variance.sqrt().cpu().numpy()
        self.replayed = _replay(rows, deviation, seed)

    def __call__(
        self, found: list[list[np.ndarray]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fit the weights (C, F) and biases (C,) of new classes.

        ``found`` has, per class and image, the features (R, F) of its RoIs.
        """
        x = np.vstack([np.vstack(pictures) for pictures in found])
        y, share = [], []
        for k, pictures in enumerate(found):
            for features in pictures:
                y += [k] * len(features)
                share += [1 / len(features)] * len(features)
        if self.solver == 'released':
            start = few_shot_start(len(found), x.shape[1], self.seed)
            epochs, *how = self.sgd
            ((weight, bias),) = train_few_shot(
                x, np.array(y), *start, epochs, *how
            )
            return weight, bias
        old = self.replayed
        x = np.vstack([x, old])
        y = np.array(y + [-1] * len(old))
        share = np.array(share + [1.0] * len(old))
        if self.sigmoid:  # each class against all others
            fits = [
                fit_new_classes(
                    x,
                    np.where(y == k, 0, -1),
                    1,
                    np.zeros(len(x)),
                    share,
                    self.l2,
                )
                for k in range(len(found))
            ]
            weights, biases = zip(*fits, strict=True)
            return np.concatenate(weights), np.concatenate(biases)
        other = None
        if len(self.rows.bias):
            logits = x @ self.rows.weight.T + self.rows.bias
            other = logsumexp(logits, axis=1)
        return fit_new_classes(x, y, len(found), other, share, self.l2)

    def accuracy(self, found: list[list[np.ndarray]]) -> float:
        """Accuracy on every fifth image, of a classifier of the others."""
        train = [[f for i, f in enumerate(p) if i % 5] for p in found]
        held = [p[::5] for p in found]
        weight, bias = self(train)
        if self.solver == 'lbfgs':  # old classes compete, too
            weight = np.concatenate([weight, self.rows.weight])
            bias = np.concatenate([bias, self.rows.bias])
        right = [
            (features[0] @ weight.T + bias).argmax() == k
            for k, pictures in enumerate(held)
            for features in pictures
        ]
        return float(np.mean(right))


def _replay(rows: ClassRows, deviation: np.ndarray, seed: int) -> np.ndarray:
    """Sample features (N, F) that resemble those of the known classes."""
    means = rows.means[rows.counts > 0]
    if not len(means):
        return means
    each = int(np.clip(_REPLAYED // len(means), 1, _REPLAYED_EACH))
    means = means.repeat(each, 0)
    noise = np.random.default_rng(seed).normal(size=means.shape)
    # The output of a ReLU is not below 0.
    return np.float32((means + noise * deviation).clip(min=0))

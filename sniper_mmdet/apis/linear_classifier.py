"""A linear classifier of new classes beside fixed ones."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp


def fit_new_classes(
    x: np.ndarray,
    y: np.ndarray,
    num_classes: int,
    other: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    l2: float = 0.001,
    max_iter: int = 200,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit weights and biases of new classes by L-BFGS.

    The fit minimises the mean cross entropy, in which each class has the same
    weight, plus ``l2`` times half the sum of squared weights, for features
    that are scaled to a mean square of 1. Fixed classes compete by their
    logits and do not change.

    Args:
        x (ndarray (N, F)): Features.
        y (ndarray (N,)): New classes, from 0; -1 is any fixed class.
        num_classes (int): Number of new classes, C.
        other (ndarray (N,), optional): Log of the sum of the exponentials of
            the fixed classes' logits. Defaults to None: there are no fixed
            classes.
        weights (ndarray (N,), optional): Further weights of the samples.
            Defaults to 1.
        l2 (float): Weight of the penalty. Defaults to 0.001.
        max_iter (int): Largest number of iterations. Defaults to 200.

    Returns:
        tuple: Weights (C, F) and biases (C,), float32.
    """
    x = np.asarray(x, np.float64)
    size = np.sqrt((x**2).mean()) or 1
    x = np.hstack([x / size, np.ones((len(x), 1))])
    rest = np.full(len(x), -np.inf) if other is None else other
    columns = np.asarray(y) + 1  # the fixed classes are column 0
    share = np.ones(len(x)) if weights is None else np.array(weights, float)
    total = np.bincount(columns, share, num_classes + 1)
    # All fixed classes together have the same weight as all new ones.
    each = np.where(np.arange(num_classes + 1) > 0, 1 / num_classes, 1)
    share *= (each / np.maximum(total, 1e-12))[columns]
    share /= share.sum()
    penalty = np.full(x.shape[1], float(l2))
    penalty[-1] = 0
    rows = np.arange(len(x))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(num_classes, -1)
        logits = np.hstack([rest[:, None], x @ w.T])
        log_prob = logits - logsumexp(logits, axis=1, keepdims=True)
        value = -(share * log_prob[rows, columns]).sum()
        error = np.exp(log_prob)
        error[rows, columns] -= 1
        gradient = (error[:, 1:] * share[:, None]).T @ x + penalty * w
        return value + (penalty * w**2).sum() / 2, gradient.ravel()

    start = np.zeros(num_classes * x.shape[1])
    found = minimize(
        loss, start, jac=True, method='L-BFGS-B', options={'maxiter': max_iter}
    )
    w = found.x.reshape(num_classes, -1)
    return np.float32(w[:, :-1] / size), np.float32(w[:, -1])

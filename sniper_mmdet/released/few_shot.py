"""The few-shot classifier of R-FCN-3000, trained as by MXNet."""

from collections.abc import Iterator, Sequence

import numpy as np


def few_shot_start(
    num_classes: int, num_features: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (C, F), uniform in -0.01 to 0.01, and a bias of zeros."""
    rng = np.random.default_rng(seed)
    weight = rng.uniform(-0.01, 0.01, (num_classes, num_features))
    return weight.astype(np.float32), np.zeros(num_classes, np.float32)


def train_few_shot(
    x: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    epochs: int | Sequence[int] = 250,
    lr: float = 0.001,
    momentum: float = 0.9,
    batch_size: int = 100,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Train a linear softmax classifier with the released optimiser.

    The optimiser is SGD on the mean loss of a batch, without weight decay, in
    the order of the samples. The first samples fill up the last batch of an
    epoch, and count again (``Module.fit`` of demo/linear_classifier.py).

    Args:
        x (ndarray (N, F)): Features.
        y (ndarray (N,)): Classes.
        weight (ndarray (C, F)): Initial weights.
        bias (ndarray (C,)): Initial bias.
        epochs (int | Sequence[int]): Epochs after which to yield weights, in
            order. Defaults to 250.
        lr (float): Learning rate. Defaults to 0.001.
        momentum (float): Momentum of SGD. Defaults to 0.9.
        batch_size (int): Samples per batch; fewer samples repeat to fill it.
            Defaults to 100.

    Yields:
        tuple: Weights (C, F) and bias (C,), float32.
    """
    wanted = [epochs] if isinstance(epochs, int) else list(epochs)
    # The bias is the weight of a feature that is always 1.
    ones = np.ones((len(x), 1), np.float32)
    x = np.hstack([np.asarray(x, np.float32), ones])
    w = np.hstack([weight, bias[:, None]]).astype(np.float32)
    targets = np.eye(len(w), dtype=np.float32)[y]
    change = np.zeros_like(w)
    num = -(-len(x) // batch_size) * batch_size
    batches = np.arange(num).reshape(-1, batch_size) % len(x)
    for epoch in range(1, max(wanted, default=0) + 1):
        for batch in batches:
            logits = x[batch] @ w.T
            prob = np.exp(logits - logits.max(1, keepdims=True))
            prob /= prob.sum(1, keepdims=True)
            gradient = (prob - targets[batch]).T @ x[batch] / batch_size
            change = momentum * change - lr * gradient
            w = w + change
        if epoch in wanted:
            yield w[:, :-1].copy(), w[:, -1].copy()

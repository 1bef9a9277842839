"""Super-classes: groups of classes that look alike (R-FCN-3000, section 3)."""

import numpy as np
from scipy.cluster.vq import kmeans2


def cluster_classes(
    means: np.ndarray, num: int, seed: int = 0, tries: int = 10
) -> list[int]:
    """Cluster classes by k-means on their mean features.

    Clusters are numbered by their first class. The result is the best of
    several starts, the one with the least distances among those that leave no
    cluster empty.

    Args:
        means (ndarray (C, F)): Mean features of the classes.
        num (int): Number of clusters.
        seed (int): Seed of the starts. Defaults to 0.
        tries (int): Number of starts. Defaults to 10.

    Raises:
        ValueError: There are fewer different classes than clusters.

    Examples:
        >>> import numpy as np
        >>> cluster_classes(np.array([[0, 1], [5, 5], [0, 1.2]]), num=2)
        [0, 1, 0]
    """
    means = np.asarray(means, float)
    different = len(np.unique(means, axis=0))
    if not 0 < num <= different:
        raise ValueError(
            f'the number of super-classes must be 1 to {different}, as many '
            f'classes differ. Received: {num}.'
        )
    rng = np.random.default_rng(seed)
    best, least = np.zeros(len(means), int), np.inf
    for _ in range(tries):
        centres = _spread(means, num, rng)
        centres, of = kmeans2(means, centres, minit='matrix', missing='raise')
        away = ((means - centres[of]) ** 2).sum()
        if away < least:
            best, least = of, away
    return _numbered(best)


def _spread(
    means: np.ndarray, num: int, rng: np.random.Generator
) -> np.ndarray:
    """Choose different classes far from each other as a start (k-means++)."""
    chosen = [int(rng.integers(len(means)))]
    away = ((means - means[chosen[0]]) ** 2).sum(1)
    while len(chosen) < num:
        chosen.append(int(rng.choice(len(means), p=away / away.sum())))
        away = np.minimum(away, ((means - means[chosen[-1]]) ** 2).sum(1))
    return means[chosen]


def _numbered(groups: np.ndarray) -> list[int]:
    first = {group: k for k, group in enumerate(dict.fromkeys(groups))}
    return [first[group] for group in groups]


def group_by_name(names: list[str]) -> list[int]:
    """Number names in the order of their first appearance.

    Examples:
        >>> group_by_name(['animal', 'vehicle', 'animal'])
        [0, 1, 0]
    """
    return _numbered(np.array(names, object))

# SPDX-License-Identifier: Apache-2.0
"""What the scores of classes say beyond the predicted class."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from cmnist_tfds.scoring import predictions
from cmnist_tfds.scoring.predictions import Predictions
from cmnist_tfds.system.errors import PredictionsError
from cmnist_tfds.system.extras import needs_extra
from cmnist_tfds.system.paths import PathLike

_BINS = 15
_TOP = (1, 3, 5)
_COVERAGES = (0.5, 0.8, 0.9, 1.0)


@dataclasses.dataclass(frozen=True)
class Confidence:
  """Figures of scores; means over runs.

  Those that need probabilities are None for scores of the kind 'other'.

  Attributes:
    kind: What the scores are: 'probability', 'logit' or 'other'.
    log_loss: The mean of minus the natural logarithm of the probability of the
      true class.
    brier: The mean over examples of the squared error, summed over classes.
    ece: The expected calibration error, over bins of equal width.
    auroc: The area under the ROC curve of each class against the rest, a mean
      over classes.
    top: The share of examples whose class is among the k highest, by k.
    risk: The share of errors among the examples of the highest score, by the
      share of examples that is taken.
    aurc: The mean of that risk over all shares, the area under its curve.
    reliability: For each bin of the highest probability that has examples, the
      number of these in all runs, the mean probability, and the share that is
      recognized.
  """

  kind: str
  log_loss: float | None
  brier: float | None
  ece: float | None
  auroc: float
  top: dict[int, float]
  risk: dict[float, float]
  aurc: float
  reliability: tuple[tuple[int, float, float], ...]


@dataclasses.dataclass(frozen=True)
class Outlying:
  """How well the highest score tells the test images from those of another set.

  Means over runs.

  Attributes:
    against: The other set: its file.
    examples: How many images that has.
    auroc: The area under the ROC curve.
    aupr: The average precision, with the subset's own images as positive.
    aupr_out: The same with the others as positive.
    fpr95: The share of the others whose score is as high as that of 95 % of the
      subset's own.
  """

  against: str
  examples: int
  auroc: float
  aupr: float
  aupr_out: float
  fpr95: float


def measure(scored: Predictions) -> Confidence | None:
  """Returns the figures of the scores of predictions; None without scores.

  Raises:
    MissingExtraError: If scikit-learn is not installed.
  """
  if scored.scores is None:
    return None
  with needs_extra('Figures of scores', 'scoring'):
    from sklearn import metrics
  labels, kind = scored.labels, scored.score_kind
  present = np.unique(labels)
  rows, bins = [], np.zeros((3, _BINS))
  for run, predicted in zip(scored.scores, scored.predicted, strict=True):
    scores = _finite(run)
    right = predicted == labels
    each = (metrics.roc_auc_score(labels == c, scores[:, c]) for c in present)
    rank = (scores > scores[np.arange(len(labels)), labels][:, None]).sum(
      axis=1
    )
    order = np.argsort(-scores.max(axis=1), kind='stable')
    risk = np.cumsum(~right[order]) / np.arange(1, len(labels) + 1)
    taken = [int(np.ceil(share * len(labels))) - 1 for share in _COVERAGES]
    row = [np.mean([*each]), risk.mean(), *risk[taken]]
    row += [(rank < k).mean() for k in _TOP]
    if kind != 'other':
      p = np.exp(scores - scores.max(axis=1, keepdims=True))
      p = p if kind == 'logit' else scores
      p = p / p.sum(axis=1, keepdims=True)
      highest, of_class = p.max(axis=1), p[np.arange(len(p)), labels]
      number = np.minimum((highest * _BINS).astype(int), _BINS - 1)
      count = functools.partial(np.bincount, number, minlength=_BINS)
      own = np.stack([count(), count(highest), count(right)])
      bins += own
      row.append(metrics.log_loss(labels, p, labels=np.arange(p.shape[1])))
      row.append(((p**2).sum(axis=1) - 2 * of_class + 1).mean())
      row.append(abs(own[1] - own[2]).sum() / len(labels))
    rows.append(row)
  auroc, aurc, *rest = np.mean(rows, axis=0).tolist()
  # Their iterator is taken from in order, and losses may be missing.
  left = iter(rest)
  found = bins[:, bins[0] > 0].T.tolist()
  return Confidence(
    kind=kind,
    auroc=auroc,
    aurc=aurc,
    risk={share: next(left) for share in _COVERAGES},
    top={k: next(left) for k in _TOP},
    log_loss=next(left, None),
    brier=next(left, None),
    ece=next(left, None),
    reliability=tuple((int(n), p / n, r / n) for n, p, r in found),
  )


def tell_apart(scored: Predictions, path: PathLike) -> Outlying:
  """Returns how well scores tell the examples of two sets apart.

  Args:
    scored: The predictions of a model for its own test set.
    path: The scores of the same model for another set: a file of predictions
      with as many runs in the same order, or for a single run a `.npy` file,
      floats (n, classes), or (n,), the highest of each image.

  Raises:
    PredictionsError: If there are no scores, or they do not fit together.
    MissingExtraError: If scikit-learn is not installed.
  """
  with needs_extra('Figures of scores', 'scoring'):
    from sklearn import metrics
  others: np.ndarray | None
  if str(path).lower().endswith('.npy'):
    with predictions.reading(path, 'scores', 'Save floats (n, classes).'):
      loaded = np.load(path, allow_pickle=False)
      others = loaded.astype(float).reshape(1, len(loaded), -1)
  else:
    others = predictions.read_predictions(path).scores
  if scored.scores is None or others is None:
    raise PredictionsError(
      f'{path if scored.scores is not None else scored.title} has no scores. Save'
      ' the predictions with those of their classes.'
    )
  if len(others) != len(scored.scores) or np.isnan(others).any():
    raise PredictionsError(
      f'{path}: expected scores of {len(scored.scores)} runs without NaN, found'
      f' {len(others)} runs.'
    )
  rows = []
  for pair in zip(scored.scores, others, strict=True):
    own, other = (_finite(scores).max(axis=1) for scores in pair)
    is_own = np.repeat([1, 0], [len(own), len(other)])
    highest = np.concatenate([own, other])
    fpr, tpr, _ = metrics.roc_curve(is_own, highest)
    precision = metrics.average_precision_score
    prs = precision(is_own, highest), precision(1 - is_own, -highest)
    rows.append([metrics.auc(fpr, tpr), *prs, fpr[np.searchsorted(tpr, 0.95)]])
  figures = np.mean(rows, axis=0).tolist()
  return Outlying(str(path), others.shape[1], *figures)


def _finite(scores: np.ndarray) -> np.ndarray:
  """Returns scores, float64, with a low number in place of infinity."""
  return np.maximum(scores.astype(float), float(np.finfo(np.float32).min))

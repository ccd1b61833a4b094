# SPDX-License-Identifier: Apache-2.0
"""What the scores of classes say beyond the predicted class."""

from __future__ import annotations

import dataclasses

import numpy as np

from cmnist_tfds.scoring import predictions
from cmnist_tfds.scoring.predictions import Predictions
from cmnist_tfds.system.errors import PredictionsError
from cmnist_tfds.system.extras import needs_extra
from cmnist_tfds.system.paths import PathLike

_BINS = 15
_COVERAGES = np.arange(1, 11) / 10


@dataclasses.dataclass(frozen=True)
class Confidence:
  """Figures of scores; means over runs.

  Attributes:
    kind: What the scores are: 'probability', 'logit' or 'other'.
    top_1: The share of examples whose class has the highest score.
    top_3: The share of those whose class is among the three highest.
    top_5: Likewise, among five.
    auroc: The area under the ROC curve of each class against the rest, a mean
      over classes.
    aurc: The area under the curve of risk by coverage.
    risk: The share of errors among the examples of the highest score, for ten
      shares of examples from a tenth to all: the curve.
    log_loss: The mean of minus the natural logarithm of the probability of the
      true class; None, as the others below, for scores of the kind 'other'.
    brier: The mean over examples of the squared error, summed over classes.
    ece: The expected calibration error, over bins of equal width.
    reliability: For each bin of the highest probability that has examples, their
      mean probability, their number in all runs, and the share that is
      recognized.
  """

  kind: str
  top_1: float
  top_3: float
  top_5: float
  auroc: float
  aurc: float
  risk: tuple[float, ...]
  log_loss: float | None = None
  brier: float | None = None
  ece: float | None = None
  reliability: tuple[tuple[float, int, float], ...] = ()


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
  rows, risks, bins = [], [], np.zeros((3, _BINS))
  for run, predicted in zip(scored.scores, scored.predicted, strict=True):
    scores, right = _finite(run), predicted == labels
    true = np.arange(len(labels)), labels
    rank = (scores > scores[true][:, None]).sum(axis=1)
    each = [metrics.roc_auc_score(labels == c, scores[:, c]) for c in present]
    order = np.argsort(-scores.max(axis=1), kind='stable')
    wrong = np.cumsum(~right[order]) / np.arange(1, len(labels) + 1)
    risks.append(wrong[np.ceil(_COVERAGES * len(labels)).astype(int) - 1])
    row = [*((rank < k).mean() for k in (1, 3, 5)), np.mean(each), wrong.mean()]
    if kind != 'other':
      p = scores
      if kind == 'logit':
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
      p = p / p.sum(axis=1, keepdims=True)
      highest = p.max(axis=1)
      number = np.minimum((highest * _BINS).astype(int), _BINS - 1)
      counted = (np.bincount(number, w, _BINS) for w in (highest, None, right))
      bins += (own := np.stack([*counted]))
      row.append(metrics.log_loss(labels, p, labels=np.arange(p.shape[1])))
      row.append(((p**2).sum(axis=1) - 2 * p[true] + 1).mean())
      row.append(abs(own[0] - own[2]).sum() / len(labels))
    rows.append(row)
  found = bins[:, bins[1] > 0].T.tolist()
  reliability = tuple((p / n, int(n), right / n) for p, n, right in found)
  # The last are missing where there are no probabilities.
  names = ['top_1', 'top_3', 'top_5', 'auroc', 'aurc']
  names += ['log_loss', 'brier', 'ece']
  means = dict(zip(names, np.mean(rows, axis=0).tolist(), strict=False))
  risk = tuple(np.mean(risks, axis=0).tolist())
  return Confidence(kind=kind, risk=risk, reliability=reliability, **means)


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
  runs = [0 if each is None else len(each) for each in (scored.scores, others)]
  if scored.scores is None or others is None or runs[0] != runs[1]:
    raise PredictionsError(
      f'{path}: expected scores of as many runs as {scored.title} has,'
      f' {runs[0]}, found {runs[1]}. Save the scores of one model for both.'
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

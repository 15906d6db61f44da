"""Whether more of a metric is better, as far as its name tells."""

from __future__ import annotations

import re
from typing import Final, Literal

__all__ = ["direction", "judged"]

_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_JOINED: Final = re.compile(r"(?<![a-z0-9])(?:r2|f1|f2|f05|p[0-9]{2,3}|map[0-9]*|[a-z]+)(?![a-z0-9])")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MORE: Final = _words(
    "acc accuracy ap auc auprc auroc bleu concordance coverage dice f1 f2 f05 fbeta fps gain iou jaccard "
    "kappa likelihood lift map matthews mcc mrr ndcg precision profit prauc psnr purity qps r2 recall reward rocauc "
    "rouge sensitivity silhouette specificity ssim throughput tnr tpr uplift"
)
_LESS: Final = _words(
    "brier cer cost crossentropy deviance divergence duration ece eer entropy err error errors fid fnr fpr hamming inertia "
    "kl latency logloss loss mad mae mape mase misclassification mse msle pinball perplexity ppl rmse rmsle "
    "seconds smape wape wer"
)
_TIME: Final = re.compile(r"p[0-9]{2,3}|ms|us|ns|sec|secs|time")


def direction(name: str) -> Literal[-1, 0, 1]:
    """1 if more is better, -1 if less is, 0 if the name does not tell, or tells both."""
    joined = name.replace("^", "").lower()
    words = set(_JOINED.findall(re.sub(r"[_\W]+", " ", joined))) | {word.lower() for word in _WORD.findall(name)}
    more = bool(words & _MORE)
    less = bool(words & _LESS) or (not more and any(_TIME.fullmatch(word) for word in words))
    more = more or (not less and "score" in words)
    if more == less:
        return 0
    flipped = bool(words & {"neg", "negative"})  # as scikit-learn calls its losses
    return 1 if more != flipped else -1


def judged(name: str, old: float, new: float) -> Literal["", "better", "worse"]:
    """What a change of the metric `name` means."""
    gain = direction(name) * (new - old)
    return "better" if gain > 0 else "worse" if gain < 0 else ""

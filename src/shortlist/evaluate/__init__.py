"""What a fitted funnel is worth on later events, and which of two is better."""

from shortlist.evaluate.window import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]

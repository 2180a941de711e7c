"""What a fitted funnel is worth on later events, and which of two is better."""

from shortlist.evaluate.window import Evaluation, evaluate
from shortlist.evaluate.windows import joined

__all__ = ["Evaluation", "evaluate", "joined"]

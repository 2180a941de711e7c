"""Slates in words: for one person (``slate``), and for a file of people (``batch``)."""

from shortlist.answer.slate import (
    Answer,
    item_code,
    recommend,
    requests_of,
    similar,
    tell,
    titles,
    top_like,
    topics,
    user_code,
)

__all__ = [
    "Answer", "item_code", "recommend", "requests_of", "similar", "tell", "titles", "top_like", "topics", "user_code",
]  # fmt: skip

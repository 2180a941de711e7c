"""The Python face: what ``import shortlist as sl`` offers, for notebooks and services of one's own."""

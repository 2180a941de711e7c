"""What each feature column of a ranker is like and what it is worth: ``shortlist features``."""

"""Rankers on plain tables: experiments without recall, and the cross-validation they choose by."""

"""What tests of components need: worlds with a known answer, and the contract every component owes.

Nothing in the package imports this folder but the command ``shortlist simulate``.
"""

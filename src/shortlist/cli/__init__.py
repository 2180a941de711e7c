"""The command line: ``main.py`` has the commands of the funnel, its neighbours the others and what they draw."""

"""Faults on purpose: whatever breaks, every image reaches exactly one final state.

Each scenario is one file and one command, e.g. `python -m pytest tests/faults/test_kill_storm.py`.
Counts are small by default; FAULTS_SCALE=full takes the big ones.
"""

"""Answers are written, not chosen from alternatives: tests/tasks/test_answer.py has what holds of them."""

VARIANTS: dict[str, dict] = {}

"""Weak supervision: label texts without gold labels, and prove the labels against gold."""

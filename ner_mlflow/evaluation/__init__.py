"""Scores, confusions, error tables and plots of predicted against gold tags."""

"""Choosing engines, models and options by budget, on the board itself."""

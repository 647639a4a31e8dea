"""Wakes of one room: kept where the user wants it, labelled, and what they say about a threshold."""

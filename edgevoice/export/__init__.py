"""Builds the models edgevoice runs out of published weights. Needs the extra ``export``; the daemon never runs it."""

"""Measuring engines and the whole daemon on the machine they shall run on."""

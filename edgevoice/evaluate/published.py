"""What others reach on the barista benchmark, as published by Picovoice (speech-to-intent-benchmark): share of commands
understood, with the noise of a kitchen for Rhino by SNR, and for the others the mean over 6 to 24 dB only."""

from collections.abc import Iterable

INTENT = "orderDrink"
"""The one intent of that benchmark: figures of any other set cannot be compared with these."""

RHINO = {6.0: 0.96, 9.0: 0.97, 12.0: 0.98, 15.0: 0.99, 18.0: 0.99, 21.0: 0.99, 24.0: 0.99}
"""By SNR in dB."""

MEANS = {"Microsoft LUIS": 0.899, "IBM Watson": 0.868, "Amazon Lex": 0.845, "Google Dialogflow": 0.776}


def comparable(intents: Iterable[str]) -> bool:
    """Whether recordings with these intents are those of the benchmark."""
    return set(intents) == {INTENT}

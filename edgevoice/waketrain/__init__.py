"""Training a wake word from a typed phrase: voices speak it, rooms and noise are put around it, a small network learns.

``train`` drives; ``phrase`` judges the phrase, ``voices`` and ``vocoder`` speak, ``near`` finds what sounds alike,
``scene`` makes rooms and noise, ``features`` turns audio into windows, ``network`` learns, ``tflite`` writes the file.
"""

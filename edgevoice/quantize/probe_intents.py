"""Share of spoken commands that are understood, intent and every slot, as the daemon would hear them."""

from pathlib import Path

import msgspec

from edgevoice import config as configuration
from edgevoice.config import Config
from edgevoice.engines import registry
from edgevoice.evaluate import intents
from edgevoice.evaluate import manifest as commands
from edgevoice.evaluate.listening import Ears
from edgevoice.evaluate.machine import peak_memory
from edgevoice.flow.worker import Worker
from edgevoice.modelstore import ModelStore
from edgevoice.parts import load_skills
from edgevoice.quantize import findings, labels, samples
from edgevoice.quantize.findings import Figure, Findings, Tell
from edgevoice.quantize.metric import Parts
from edgevoice.quantize.probing import Job


def probe(job: Job, tell: Tell) -> Findings:
    """
    Raises:
        EdgeVoiceError: see ``edgevoice.quantize.gate.measure``.
    """
    manifest = Path(job.manifest)
    _, known = samples.load(samples.Ordered, manifest, job.limit)
    grammars = [Path(grammar) for grammar in job.grammars]
    labels.check(manifest, job.limit, grammars)
    items = commands.load(manifest, job.limit)
    load_times = []

    def load(config: Config) -> Ears:
        engine, load_ms = findings.load("asr", job.engine, config.asr.chosen)
        load_times.append(load_ms)
        vad = registry.load("vad", config.vad.engine, config.vad.chosen, ModelStore())
        return Ears(config, vad, engine, load_skills(config, Worker("think")))

    bench = intents.Bench(intents.Settings(_config(job, grammars), load))
    right, times = [], []
    for number, item in enumerate(items, 1):
        (prediction,) = bench.do(intents.Command(item, 0)).predictions
        right.append(float(prediction.strict))
        times.append(prediction.compute_ms)
        tell(number, len(items))
    return Findings(
        figures=[Figure("strict_accuracy", Parts(counts=tuple(right), weights=(1.0,) * len(right)), lower=False)],
        samples=known,
        load_ms=load_times[0],
        rss_mb=peak_memory(),
        latency_of="computing time of a whole command, voice activity and grammar included",
        latencies_ms=times,
    )


def _config(job: Job, grammars: list[Path]) -> Config:
    """The defaults, with the model that is measured."""
    config = labels.config(grammars)
    chosen = findings.options("asr", job.engine, job.model, job.options)
    asr = configuration.Chosen(engine=job.engine, options={**config.asr.options, job.engine: chosen})
    return msgspec.structs.replace(config, asr=asr)

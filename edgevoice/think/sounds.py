"""Words -> sounds of English, and how alike two sounds are.

The pronunciation comes from rules on the spelling and a list of common words that follow none. It need not be right,
only alike for what sounds alike: both sides of a comparison go through it. Stress is left out.
"""

import re
import unicodedata
from functools import lru_cache

import numpy as np

from edgevoice.audio.pcm import Float32

# One letter a sound. Vowels: a trap, A lot, E dress, e face, I kit, i fleece, Y price, o goat, O choice, U foot,
# u goose, V strut and schwa, W mouth, R nurse. Consonants as usual, and C chip, J jump, S ship, Z measure, T thin,
# D this, N sing.
# "?" is a letter of another script: like nothing.
_VOWELS = "aAEeIiYoOUuVWR"
SOUNDS = _VOWELS + "pbtdkgCJfvTDszSZhmnNlrwy?"

_IRREGULAR = {
    word: sounds
    for line in """
    a V|the DV|of Vv|to tu|do du|you yu|your yor|are Ar|were wR|was wVz|is Iz|his hIz|as az|has haz|have hav|had had
    i'm Ym|i'd Yd|i'll Yl|i've Yv|he hi|she Si|we wi|me mi|be bi|they De|their DEr|there DEr|where wEr|here hIr|this DIs
    that Dat|these Diz|those Doz|then DEn|than Dan|them DEm|with wID|without wIDWt|other VDR|another VnVDR|who hu
    whose huz|whole hol|one wVn|once wVns|two tu|four for|eight et
    both boT|many mEni|any Eni|some sVm|come kVm|done dVn|none nVn|gone gAn
    give gIv|live lIv|love lVv|move muv|above VbVv|said sEd|says sEz|does dVz|don't dont|won't wont|what wAt|want wAnt
    put pUt|good gUd|wood wUd|foot fUt|book bUk|could kUd|would wUd|should SUd|people pipVl|minute mInVt|minutes mInVts
    hour Wr|hours Wrz|ounce Wns|our Wr|yes yEs|us Vs|house hWs|mouse mWs|use yuz|also Also|into Intu|color kVlR
    colour kVlR|latte lAte|americano VmErIkAno|cappuccino kapuCino|mocha mokV|coffee kAfi|sugar SUgR|money mVni
    water wAtR|woman wUmVn|women wImIn|friend frEnd|great gret|break brek|steak stek|music myuzIk|ocean oSVn|wifi wYfY
    heart hArt|machine mVSin|police pVlis|tonight tVnYt|today tVde|tomorrow tVmAro|o'clock oklAk|quiet kwYVt|busy bIzi
    build bIld|guitar gItAr|laugh laf|enough InVf|through Tru|though Do|thought TAt|eye Y|eyes Yz|blood blVd|flood flVd
    door dor|floor flor|sure SUr|iron YRn|island YlVnd|answer ansR|half haf|listen lIsVn|often AfVn|castle kasVl
    open opVn|over ovR|radio redio|video vIdio|piano piano|area Eria|idea YdiV|oven VvVn|front frVnt|month mVnT
    mother mVDR|brother brVDR|father fADR|nothing nVTIN|something sVmTIN|company kVmpVni|country kVntri|double dVbVl
    young yVN|touch tVC|group grup|soup sup|route rut|key ki|lose luz|shoe Su|aunt ant|pretty prIti|only onli|very vEri
    every Evri|second sEkVnd|seconds sEkVndz|seven sEvVn|eleven IlEvVn|degrees dIgriz|volume vAlyum|temperature tEmprVCR
    """.replace("\n", "|").split("|")
    if line.strip()
    for word, sounds in [line.split()]
}

_SILENT = "(?:e|es|ed|er|ers|ely|eless)\\b"
_ONE = "[bcdfgklmnpstvz]"
_RULES = f"""
\\bkn n|\\bgn n|\\bps s|\\bwr r|\\bwh w|\\bx z|\\bgh g|\\bmc mVk|\\bsch sk
tch C|ch(?=[rl]) k|ch(?=[ao]\\b) k|ch C|sh S|ph f|th(?=er\\b) D|th(?=e\\b) D|th T
eigh e|aigh e|igh Y|augh A|ough(?=t) A|ough o|gh -
ck k|(?<=u)cc(?=i) C|cc(?=[iey]) ks|cc k|ci(?=[ao]) S|c(?=[iey]) s|c k
dge J|dg(?=i) J|gg g|ng(?=e[^aeiouy]) NR|nge nJ|ng\\b N|ng(?=[bcdfhjkmnpqstvwxz]) N|ng(?=s|ing|ed) N|ng Ng
(?<=a)ge\\b J|g(?=[ey]) J|g(?=i[^rvf]) J|gu(?=[eia]) g|gue\\b g|g g
nk Nk|nx Nks|nc(?=[aou]) Nk|nn n|n n
que\\b k|qu kw|q k|sc(?=[iey]) s|ssion SVn|sion ZVn|tion SVn|cian SVn
ss s|(?<=[aeiou])se\\b z|(?<=[aeiou])ses\\b zIz|(?<=[aeiou])s(?=[aeiou]) z|(?<=[bdgvmnlrwye])s\\b z|s s
ti(?=al|ous|en) S|ture CR|tu(?=al) CU|tt t|t t
bb b|dd d|ff f|kk k|ll l|mb\\b m|mm m|mn\\b m|pp p|rr r|zz z|x ks|b b|d d|f f|h(?=[aeiouy]) h|h -|j J|k k|l l|m m|p p
r r|v v|w(?=[aeiouy]) w|w -|z z
(?<=\\b[b-hj-np-tv-z])y\\b Y|(?<=\\b[b-hj-np-tv-z][a-z])y\\b Y|y\\b i|\\by y|y(?={_ONE}e) Y|y(?=[aeou]) y|y I
\\ba\\b V|air Er|ai e|ay e|au A|aw A|are\\b Er|arr Er|(?<=w)ar or|ar(?=[aeiou]) Er|ar Ar
alk Ak|al(?=m) A|all Al|al(?=[td]) Al
(?<=\\w\\w\\w)age\\b IJ|(?<=\\w\\w)able\\b VbVl|a(?={_ONE}{_SILENT}) e|a(?=(?:st|ng|bl)e) e|a(?=tion|ting) e
(?<=w)a(?=[ntsl]) A|a\\b V|a(?=l\\b) V|a a
eau o|ear\\b Ir|ear(?=[nltc]) R|ea(?=d\\b|th|lth|ven|sure|sant) E|ea i|eer Ir|ee i|ei i|ey\\b i
eu u|(?<=[bfkmpv])ew yu|(?<=ph)ew yu|ew u
ere\\b Ir|ered\\b Rd|er(?=ing|y\\b) R|er(?=[aeiou]) Er|err Er|er R|(?<=\\b[b-z])ed\\b Ed
(?<=\\b[b-df-hj-np-tv-z][hlr])ed\\b Ed|(?<=[td])ed\\b Id
(?<=[pkfsxch])ed\\b t|ed\\b d|(?<=[sxzhcg])es\\b Iz|es\\b z|(?<=\\b[b-z])e\\b i|(?<=\\b[b-df-hj-np-tv-z][hlr])e\\b i
(?<=[bcdfgkpstz])le\\b Vl|(?<=[bcdfgkpstz])les\\b Vlz|e\\b -|e(?=ly\\b|ment|ful\\b|less) -|e(?={_ONE}e\\b) i|e E
(?<=\\b[b-z])ie\\b Y|(?<=\\b[b-z])ies\\b Yz|ied\\b id|ies\\b iz|iew yu|ie i|ire\\b Yr|irr Ir|ir(?=[aeiou]) Yr|ir R
\\bi\\b Y
ign\\b Yn|i(?=nds?\\b|ld\\b) Y|i(?=(?:[bcdfgklmnptvz]|st)e(?:s|d|r|rs|ly|less)?\\b) Y|i(?=se\\b) Y|i(?=ng\\b) I
ious iVs|ion yVn|i(?=[aou]) i|(?<=\\b[a-z])i\\b Y|i\\b i|i I
oa o|ook Uk|oor or|oo u|our or|ould Ud|ous\\b Vs|ou W|(?<=\\b[nhcbw])ow W|ow\\b o|ow(?=[ndl]|er) W|ow o|oi O|oy O
(?<=w)or R|ore\\b or|or or|o(?={_ONE}{_SILENT}) o|o(?=ld|st\\b|lt\\b|ll|ch[ao]) o|o(?={_ONE}[aiouy]) o|oe o|o\\b o
(?<=\\w\\w)on\\b Vn|o A
ure\\b yUr|ur(?=[aeiou]) Ur|ur R|ue\\b u|ui u|\\bu(?={_ONE}[aeiou]) yu|(?<=[mcfbph])u(?={_ONE}[aeiou]) yu
u(?={_ONE}[aeiou]) u|ull\\b Ul|u\\b u|u V
' -|[^a-z] ?
"""


def _scanner() -> tuple[re.Pattern[str], list[str]]:
    # A "|" divides rules only outside of parentheses.
    rules = [rule.split(" ") for rule in re.split(r"\n|\|(?![^(]*\))", _RULES) if rule]
    return re.compile("|".join(f"({pattern})" for pattern, _ in rules)), [sounds.strip("-") for _, sounds in rules]


_PATTERN, _SPOKEN = _scanner()


@lru_cache(maxsize=8192)
def pronounce(word: str) -> str:
    """The sounds of a word in lower case, each one letter of ``SOUNDS``; never none."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    plain = "".join(char for char in unicodedata.normalize("NFKD", word) if not unicodedata.combining(char))
    found = "".join(_SPOKEN[match.lastindex - 1] for match in _PATTERN.finditer(plain) if match.lastindex)
    return found or "?"


# How alike: costs in units of one clear sound -------------------------------------------------------------------

_COSTS = {"V": 0.5, "I": 0.6, "h": 0.5, "y": 0.5, "t": 0.6, "d": 0.6, "r": 0.6, "w": 0.7, "l": 0.7, "n": 0.7, "N": 0.7}
_CLEAR = 0.9
_VOWEL = 1.0
# What it costs when a sound is extra or missing. Unstressed vowels, "h", and "t" or "d" at the end of a word are the
# first that are swallowed.

_UNLIKE = 2.0
"""A vowel in the place of a consonant: no better than leaving one out and putting the other in."""
_FARTHEST = 1.2
_DIFFERENT = 0.1
"""At least this much lies between two sounds."""

# Where the tongue is at the begin and at the end of a vowel: height, then how far back, both 0..1.
_PLACES = {
    "i": ((1, 0), (1, 0)),
    "I": ((0.8, 0.2), (0.8, 0.2)),
    "E": ((0.5, 0.15), (0.5, 0.15)),
    "e": ((0.55, 0.1), (0.9, 0.1)),
    "a": ((0.15, 0.2), (0.15, 0.2)),
    "A": ((0.1, 0.9), (0.1, 0.9)),
    "V": ((0.45, 0.55), (0.45, 0.55)),
    "R": ((0.45, 0.55), (0.6, 0.7)),
    "U": ((0.8, 0.8), (0.8, 0.8)),
    "u": ((1, 0.85), (1, 0.85)),
    "o": ((0.55, 0.95), (0.85, 0.9)),
    "Y": ((0.1, 0.5), (0.85, 0.15)),
    "W": ((0.1, 0.5), (0.85, 0.85)),
    "O": ((0.5, 0.95), (0.85, 0.15)),
}
# Place from the lips (0) to the throat (7), manner, voice.
_CONSONANTS = {
    **{"p": (0, "stop", 0), "b": (0, "stop", 1), "t": (3, "stop", 0), "d": (3, "stop", 1)},
    **{"k": (6, "stop", 0), "g": (6, "stop", 1), "C": (4, "affricate", 0), "J": (4, "affricate", 1)},
    **{"f": (1, "fricative", 0), "v": (1, "fricative", 1), "T": (2, "fricative", 0), "D": (2, "fricative", 1)},
    **{"s": (3, "fricative", 0), "z": (3, "fricative", 1), "S": (4, "fricative", 0), "Z": (4, "fricative", 1)},
    **{"h": (7, "fricative", 0), "m": (0, "nasal", 1), "n": (3, "nasal", 1), "N": (6, "nasal", 1)},
    **{"l": (3, "liquid", 1), "r": (4, "liquid", 1), "w": (0, "glide", 1), "y": (5, "glide", 1)},
}
_VOICE = 0.2
_PLACE = 0.12
_FAR_PLACE = 0.45
_MANNERS = {
    frozenset(("stop", "affricate")): 0.3,
    frozenset(("affricate", "fricative")): 0.3,
    frozenset(("stop", "fricative")): 0.45,
    frozenset(("nasal", "stop")): 0.45,
    frozenset(("liquid", "glide")): 0.3,
}
_OTHER_MANNER = 0.7
_HALF_VOWELS = {"rR": 0.3, "yi": 0.4, "yI": 0.5, "wu": 0.4, "wU": 0.5, "wo": 0.6, "lo": 0.7, "lU": 0.7, "lV": 0.7}


def _distance(one: str, other: str) -> float:
    if one == other:
        return 0.0 if one != "?" else _FARTHEST
    if one in _PLACES and other in _PLACES:
        gaps = [np.hypot(a[0] - b[0], a[1] - b[1]) for a, b in zip(_PLACES[one], _PLACES[other], strict=True)]
        return min(_DIFFERENT + float(np.mean(gaps)), _FARTHEST)
    if one in _CONSONANTS and other in _CONSONANTS:
        (place, manner, voice), (their_place, their_manner, their_voice) = _CONSONANTS[one], _CONSONANTS[other]
        cost = _DIFFERENT + _VOICE * (voice != their_voice) + min(_PLACE * abs(place - their_place), _FAR_PLACE)
        if manner != their_manner:
            cost += _MANNERS.get(frozenset((manner, their_manner)), _OTHER_MANNER)
        return min(cost, _FARTHEST)
    return _HALF_VOWELS.get(one + other, _HALF_VOWELS.get(other + one, _UNLIKE))


DROP: Float32 = np.array(
    [_COSTS.get(sound, _VOWEL if sound in _VOWELS else _CLEAR) for sound in SOUNDS], dtype=np.float32
)
"""By index into ``SOUNDS``: what it costs when the sound is extra or missing."""

SWAP: Float32 = np.array([[_distance(one, other) for other in SOUNDS] for one in SOUNDS], dtype=np.float32)
"""By two indices into ``SOUNDS``: what it costs when one is heard for the other."""


def indices(sounds: str) -> list[int]:
    return [SOUNDS.index(sound) for sound in sounds]

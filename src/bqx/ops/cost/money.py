"""Money in Decimal: whole cents, rounded once a line, so that lines add up to their total to the cent."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal

CENT = Decimal("0.01")
_DIGITS = Context(prec=40, rounding=ROUND_HALF_UP)
PLACES = Decimal("0.000001")
"""Of a quantity: what is printed is what is multiplied."""


def cents(amount: Decimal) -> Decimal:
    """Rounded half up to the cent.

    >>> cents(Decimal("9.455")), cents(Decimal("-0.004"))
    (Decimal('9.46'), Decimal('0.00'))
    """
    return amount.quantize(CENT, context=_DIGITS) + Decimal("0.00")


def quantity(value: float) -> Decimal:
    """A computed quantity as it is shown and multiplied: six places."""
    return Decimal(repr(float(value))).quantize(PLACES, context=_DIGITS)


def product(amount: Decimal, price: Decimal) -> Decimal:
    """Quantity times unit price, to the cent."""
    return cents(_DIGITS.multiply(amount, price))


def total(parts: Iterable[Decimal]) -> Decimal:
    """Of amounts in whole cents: exact."""
    return sum(parts, Decimal("0.00"))


def show(amount: Decimal, currency: str = "USD") -> str:
    """For people.

    >>> show(Decimal("1234.5"))
    '1,234.50 USD'
    """
    return f"{amount:,.2f} {currency}"

"""Errors as they may be told where data is masked: their messages can quote what a caller sent."""

from dataclasses import replace

from api.errors import FieldError, Invalid, UnsupportedMediaType, status_of
from api.privacy.serving import Privacy
from api.scoring.errors import InvalidRows, RowError

_UNTOLD = "is refused; what is wrong with it cannot be told, because the message could not be masked"


class Unexpected(Exception):
    """An error nobody foresaw, by its type alone."""


def mask_error(error: Exception, privacy: Privacy) -> Exception:
    """Return the error with what it quotes masked; the error itself when its message is our own."""
    if isinstance(error, Invalid):
        return Invalid(
            *[
                FieldError(privacy.mask_text(each.field), privacy.mask_text(each.message, _UNTOLD))
                for each in error.errors
            ]
        )
    if isinstance(error, UnsupportedMediaType):
        return UnsupportedMediaType("Send the body as application/json")
    if status_of(error) == 500:
        return Unexpected(type(error).__name__).with_traceback(error.__traceback__)
    return error


def mask_row_errors(error: InvalidRows, privacy: Privacy) -> list[RowError]:
    """Return what is wrong with the rows without their values, and without personal data in the names of fields."""
    return [
        replace(
            each,
            field=None if each.field is None else privacy.mask_name(each.field),
            message=each.without_value or each.message,
        )
        for each in error.errors
    ]

"""Credentials in a text: keys of known makers by their prefix, tokens, private keys, passwords after their name."""

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator

from api.privacy.recognising import Recogniser, Verdict
from api.privacy.scores import Grade

_MAX_HEADER = 4_000
_MAKERS = (
    rb"(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA)[A-Z0-9]{16}",  # AWS
    rb"AIza[0-9A-Za-z_-]{35}",  # Google
    rb"GOCSPX-[0-9A-Za-z_-]{20,}",
    rb"gh[oprsu]_[A-Za-z0-9]{30,}",  # GitHub
    rb"github_pat_[A-Za-z0-9_]{22,}",
    rb"gl(?:pat|rt|dt|ft|soat)-[A-Za-z0-9_-]{20,}",  # GitLab
    rb"xox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    rb"xapp-[0-9]-[A-Za-z0-9-]{10,}",
    rb"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
    rb"whsec_[A-Za-z0-9+/=]{24,}",
    rb"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",  # SendGrid
    rb"(?:AC|SK)[0-9a-f]{32}",  # Twilio
    rb"npm_[A-Za-z0-9]{36}",
    rb"pypi-[A-Za-z0-9_-]{16,}",
    rb"sk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic
    rb"hf_[A-Za-z0-9]{30,}",  # Hugging Face
    rb"do[opr]_v1_[a-f0-9]{64}",  # DigitalOcean
    rb"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",  # Shopify
    rb"sq0[a-z]{3}-[A-Za-z0-9_-]{22,}",  # Square
    rb"dapi[0-9a-f]{32}",  # Databricks
    rb"key-[0-9a-f]{32}",  # Mailgun
    rb"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",  # Telegram
    rb"AccountKey=[A-Za-z0-9+/]{40,}={0,2}",  # Azure
    rb"hv[bs]\.[A-Za-z0-9_-]{24,}",  # Vault
    rb"EAA[A-Za-z0-9]{60,}",  # Meta
    rb"ATATT3[A-Za-z0-9_=-]{30,}",  # Atlassian
    rb"lin_api_[A-Za-z0-9]{30,}",
    rb"pk_[0-9a-f]{12}_[0-9a-f]{48}",  # Pilothouse
)


def _always(pii_type: str, grade: Grade) -> Callable[[str], Iterator[Verdict]]:
    return lambda _: iter([(pii_type, grade)])


def _check_jwt(text: str) -> Iterator[Verdict]:
    header = text[:_MAX_HEADER].partition(".")[0]
    try:
        decoded = urlsafe_b64decode(header + "=" * (-len(header) % 4))
    except (binascii.Error, ValueError):
        return
    yield "json_web_token", Grade.VALID if b'"alg"' in decoded else Grade.TELLING


def _check_bearer(text: str) -> Iterator[Verdict]:
    token = text.rsplit(maxsplit=1)[-1]
    if any(char.isdigit() for char in token) or token.lower() != token:
        yield "access_token", Grade.VALID


CREDENTIALS = (
    Recogniser(rb"\b(?:" + rb"|".join(_MAKERS) + rb")", _always("api_key", Grade.VALID)),
    Recogniser(rb"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*", _check_jwt, 2),
    Recogniser(rb"(?i)\b(?:bearer|basic) +[A-Za-z0-9._~+/-]{12,}=*", _check_bearer),
    Recogniser(rb"\bya29\.[A-Za-z0-9_-]{20,}", _always("access_token", Grade.VALID)),
    Recogniser(
        rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s:,.-]*",
        _always("private_key", Grade.VALID),
    ),
    Recogniser(
        rb"(?i)\b(?:password|passwd|passwort|pwd|passphrase|kennwort|contrase(?:n|\xff)a|mot de passe) ?[=:] ?"
        rb"[^\s,;]{4,}",
        _always("password", Grade.VALID),
    ),
    Recogniser(
        rb"(?i)\b(?:api[_ -]?key|secret(?:[_ -]?key)?|client[_ -]?secret|access[_ -]?token|auth[_ -]?token) ?[=:] ?"
        rb"[^\s,;]{8,}",
        _always("api_key", Grade.VALID),
    ),
    Recogniser(
        rb"%?B[0-9]{13,19}\^[^\^\r\n]{2,30}\^[0-9]{4,}[^\s]*|;[0-9]{13,19}=[0-9]{7,}\??",
        _always("card_track_data", Grade.VALID),
    ),
)

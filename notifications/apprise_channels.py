"""Apprise's side: a notify plugin for each way out. The only importer of Apprise.

The plugins are made from arguments and given to Apprise as objects: no Apprise URL, configuration or attachment is ever
read, so no text of a notice or a channel can name another service. Apprise's own `send`s answer True or False, and its
HTTP ones call `requests`; ours go through the address guard, and keep what the receiver answered.
"""

from collections.abc import Callable
from typing import Any

from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType, PersistentStoreMode
from apprise.plugins import NotifyBase
from apprise.plugins.email import NotifyEmail

from notifications import wording
from notifications.notice import Notice
from notifications.outcome import Outcome
from notifications.smtp_session import MailServer

# One owner of retries: the outbox. Nothing kept on disk, nothing read into the text.
_ASSET = AppriseAsset(
    app_id="Pilothouse",
    async_mode=False,
    default_service_retry=0,
    interpret_escapes=False,
    interpret_emojis=False,
    storage_mode=PersistentStoreMode.MEMORY,
)
_NOT_CALLED = Outcome("retry", "Apprise did not hand the notice over")
_MODES = {"starttls": "starttls", "tls": "ssl", "none": "insecure"}
_TYPES = {"info": NotifyType.INFO, "warning": NotifyType.WARNING, "critical": NotifyType.FAILURE}


class HttpChannel(NotifyBase):  # type: ignore[no-untyped-call]
    """Slack or a webhook, by the guarded `post` it is given."""

    notify_format = NotifyFormat.TEXT

    def __init__(self, post: Callable[[], Outcome]) -> None:
        super().__init__(asset=_ASSET)  # type: ignore[no-untyped-call]
        self._post = post
        self.outcome = _NOT_CALLED

    def url(self, privacy: bool = False, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401, ARG002
        """Name the channel in Apprise's log; the real URL may hold secrets."""
        return "pilothouse://"

    def send(self, *args: Any, **kwargs: Any) -> bool:  # noqa: ANN401, ARG002
        """Send, once, and keep the outcome."""
        self.outcome = self._post()
        return self.outcome.status == "sent"


class MailChannel(NotifyEmail):  # type: ignore[no-untyped-call]
    """Apprise's e-mail for one address, by the `hand_over` it is given (message in, outcome out).

    Apprise's own send tells a refusal for good from one for now no better than "False", and makes another Message-ID at
    each attempt.
    """

    notify_format = NotifyFormat.TEXT

    def __init__(self, server: MailServer, sender: str, address: str, hand_over: Callable[[], Outcome]) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            smtp_host=server.host,
            port=server.port,
            secure_mode=_MODES[server.security],
            from_addr=sender,
            host=server.host,
            asset=_ASSET,
        )
        self.targets = [(False, address)]  # not by its parser, which reads o'brien@ as a name and an address
        self._hand_over = hand_over
        self.outcome = _NOT_CALLED

    def send(self, *args: Any, **kwargs: Any) -> bool:  # noqa: ANN401, ARG002
        """Send, once, and keep the outcome."""
        self.outcome = self._hand_over()
        return self.outcome.status == "sent"


def notify(channel: HttpChannel | MailChannel, notice: Notice) -> Outcome:
    """Let Apprise notify one channel, and return what came of it."""
    carrier = Apprise(asset=_ASSET)
    carrier.add(channel)
    kind = NotifyType.SUCCESS if notice.kind == "resolved" else _TYPES.get(notice.severity, NotifyType.INFO)
    carrier.notify(
        body=wording.reason(notice) or wording.subject(notice),
        title=wording.subject(notice),
        notify_type=kind,
        body_format=NotifyFormat.TEXT,
    )
    return channel.outcome

"""An alert, and the webhook and mail server that it is sent to."""

from __future__ import annotations

import json
import os
import smtplib
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.error import HTTPError
from urllib.parse import SplitResult, unquote, urlsplit

_TEAMS_HOSTS = (".logic.azure.com", ".powerplatform.com", ".webhook.office.com")
_TIMEOUT = 20  # seconds; a tick has 60


class AlertFailed(Exception):
    """An alert could not be sent; names the host alone, since the address is a secret."""


@dataclass(frozen=True)
class Alert:
    """A message to a person.

    Attributes:
        title: one line.
        text: the reason; may be empty.
        path: of the page in Dagster's UI.
    """

    title: str
    text: str
    path: str


@dataclass(frozen=True)
class AlertTargets:
    """Where alerts go; nowhere where all are empty."""

    webhook: str = ""
    email: Sequence[str] = ()
    smtp: str = ""
    link: str = ""

    @classmethod
    def from_environment(cls) -> AlertTargets:
        """What the variables say."""
        addresses = os.environ.get("MLOPS_ALERT_EMAIL", "").split(",")
        return cls(
            webhook=os.environ.get("MLOPS_ALERT_WEBHOOK", "").strip(),
            email=[address.strip() for address in addresses if address.strip()],
            smtp=os.environ.get("MLOPS_ALERT_SMTP", "").strip(),
            link=os.environ.get("MLOPS_ALERT_LINK", "").strip().rstrip("/"),
        )

    def __bool__(self) -> bool:
        return bool(self.webhook or self.email)

    def send(self, alert: Alert) -> None:
        """Send an alert everywhere. Raises AlertFailed where one target does not take it."""
        page = f"{self.link}{alert.path}" if self.link else ""
        if self.webhook:
            _post(self.webhook, alert, page)
        if self.email:
            _mail(self.smtp, self.email, alert, page)


def _post(address: str, alert: Alert, page: str) -> None:
    host = urlsplit(address).hostname or ""
    if not address.startswith(("https://", "http://")):
        raise AlertFailed("MLOPS_ALERT_WEBHOOK is no address that begins with https://.")
    is_teams = host.endswith(_TEAMS_HOSTS)
    body = _adaptive_card(alert, page) if is_teams else _message(alert, page)
    request = urllib.request.Request(  # noqa: S310 - the address is the operator's own
        address,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT):  # noqa: S310 - likewise
            pass
    except HTTPError as error:
        error.close()
        raise AlertFailed(f"The webhook at {host} answered with status {error.code}.") from None
    except (OSError, ValueError) as error:
        raise AlertFailed(f"The webhook at {host} took no alert: {_reason(error)}") from None


def _message(alert: Alert, page: str) -> dict[str, str]:
    lines = filter(None, (alert.title, alert.text, page))
    return {"text": "\n".join(lines), "title": alert.title, "reason": alert.text, "url": page}


def _adaptive_card(alert: Alert, page: str) -> dict[str, object]:
    """As Teams takes it (learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors)."""
    card: dict[str, object] = {
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {"type": "TextBlock", "text": alert.title, "weight": "Bolder", "wrap": True},
            {"type": "TextBlock", "text": alert.text or " ", "wrap": True},
        ],
    }
    if page:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in Dagster", "url": page}]
    content_type = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": content_type, "content": card}]}


def _mail(server: str, to: Sequence[str], alert: Alert, page: str) -> None:
    where = urlsplit(server)
    message = EmailMessage()
    message["Subject"] = alert.title
    user = unquote(where.username or "")
    message["From"] = user if "@" in user else to[0]
    message["To"] = ", ".join(to)
    message.set_content("\n\n".join(filter(None, (alert.text, page))) or alert.title)
    try:
        with _connected(where) as client:
            if user:
                client.login(user, unquote(where.password or ""))
            client.send_message(message)
    except (OSError, ValueError) as error:
        host = where.hostname or "no host: set MLOPS_ALERT_SMTP"
        raise AlertFailed(f"The mail server ({host}) took no alert: {_reason(error)}") from None


def _connected(where: SplitResult) -> smtplib.SMTP:
    host = where.hostname or ""
    if where.scheme == "smtps":
        return smtplib.SMTP_SSL(host, where.port or 465, timeout=_TIMEOUT)
    client = smtplib.SMTP(host, where.port or 587, timeout=_TIMEOUT)
    if where.username:
        client.starttls()
    return client


def _reason(error: Exception) -> str:
    """What went wrong, without the address, which errors of urllib may hold."""
    return str(getattr(error, "reason", None) or type(error).__name__)

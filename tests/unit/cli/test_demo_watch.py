"""The demo's messages: kept by its mail sink and read back."""

from email.message import EmailMessage
from pathlib import Path

from api.cli.demo.mail_sink import plain_text, read_messages
from api.cli.demo.watch import history_lines
from api.settings import Settings
from api.supervisor.parts import mail_environment


def write_message(folder: Path, name: str, to: str, subject: str) -> None:
    message = EmailMessage()
    message["To"], message["Subject"] = to, subject
    message.set_content("Zürich drifts\n")
    message.add_alternative("<p>Zürich drifts</p>", subtype="html")
    (folder / name).write_bytes(bytes(message))


def test_messages_are_read_by_address_oldest_first(tmp_path: Path) -> None:
    write_message(tmp_path, "2.eml", "a@x.example", "later")
    write_message(tmp_path, "1.eml", "a@x.example", "[WARNING] früher")
    write_message(tmp_path, "3.eml", "b@x.example", "other")
    (tmp_path / "4.part").write_bytes(b"half")
    found = read_messages(tmp_path, "a@x.example")
    assert [each["Subject"] for each in found] == ["[WARNING] früher", "later"]
    assert plain_text(found[0]) == "Zürich drifts"
    assert read_messages(tmp_path / "none", "a@x.example") == []


def test_history_reads_from_old_to_new() -> None:
    event = {"last_at": "2030-01-01T10:00:00Z", "phase": "ok", "reason": "below_threshold", "detail": "0.01 > 0.25"}
    fired = {"last_at": "2030-01-01T10:05:00Z", "phase": "firing", "reason": "fired", "detail": "0.31 > 0.25"}
    assert list(history_lines([{**fired, "evaluations": 1}, {**event, "evaluations": 4}])) == [
        "10:00:00  ok      below_threshold (4 evaluations): 0.01 > 0.25",
        "10:05:00  firing  fired: 0.31 > 0.25",
    ]


def test_the_parts_get_the_mail_server_that_up_runs() -> None:
    assert mail_environment(Settings(smtp_host=None)) == {}
    sink = Settings(smtp_host="127.0.0.1", smtp_port=2525, smtp_security="none", smtp_from="a@b.example")
    assert mail_environment(sink) == {
        "PILOTHOUSE_SMTP_HOST": "127.0.0.1",
        "PILOTHOUSE_SMTP_PORT": "2525",
        "PILOTHOUSE_SMTP_SECURITY": "none",
        "PILOTHOUSE_SMTP_FROM": "a@b.example",
    }

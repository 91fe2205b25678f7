"""URLs are read strictly: whatever two parsers might read differently is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.web_urls import UrlRefused, parse_url


@pytest.mark.parametrize(
    ("text", "host", "port", "target", "authority"),
    [
        ("https://hooks.slack.com/services/T/B/x", "hooks.slack.com", 443, "/services/T/B/x", "hooks.slack.com"),
        ("HTTP://Example.COM:8080?a=b#part", "example.com", 8080, "/?a=b", "example.com:8080"),
        ("http://93.184.216.34/", "93.184.216.34", 80, "/", "93.184.216.34"),
        ("https://[2606:2800:220:1::1]:444/x", "2606:2800:220:1::1", 444, "/x", "[2606:2800:220:1::1]:444"),
        ("https://xn--bcher-kva.example./", "xn--bcher-kva.example.", 443, "/", "xn--bcher-kva.example."),
    ],
)
def test_reads_usual_urls(text: str, host: str, port: int, target: str, authority: str) -> None:
    url = parse_url(text)
    assert (url.host, url.port, url.target, url.authority) == (host, port, target, authority)


@pytest.mark.parametrize(
    "text",
    [
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://example.com/",
        "mailto://example.com",
        "json://example.com/",
        "//example.com/",
        "example.com/x",
        "http:example.com",
        "http:///x",
        "https://",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://example.com@127.0.0.1/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com:80@127.0.0.1:80/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:/",
        "http://example.com:8o/",
        "http://example.com /",
        "http://example.com/\r\nX-Injected: 1",
        "http://exa\tmple.com/",
        "http://ex%61mple.com/",
        "http://a..b/",
        "http://-a.example/",
        "http://bücher.example/",
        "http://１２７.0.0.1/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[fe80::1%eth0]/",
        "http://[fe80::1%25eth0]/",
        "http://[127.0.0.1]/",
        "http://0177.0.0.1/",
        "http://0x7f.0.0.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://127.1/",
        "http://017700000001/",
        "http://127.0.0.1./",
        "http://1.2.3.4.5/",
        "http://example.com/" + "x" * 2000,
    ],
)
def test_refuses_what_is_no_plain_web_url(text: str) -> None:
    with pytest.raises(UrlRefused):
        parse_url(text)


@given(st.text(max_size=60).map(lambda text: f"http://{text}") | st.text(max_size=60))
def test_answers_or_refuses_and_never_keeps_another_host(text: str) -> None:
    try:
        url = parse_url(text)
    except UrlRefused:
        return
    assert parse_url(f"{url.origin}{url.target}") == url

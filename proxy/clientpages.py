"""The pages at [http].listen that mail programs read; what stands in them: proxy/autoconfig.py.

    /mail/config-v1.1.xml?emailaddress=...         Thunderbird, at https://autoconfig.DOMAIN
    /.well-known/autoconfig/mail/config-v1.1.xml   the same, at https://DOMAIN
    /autodiscover/autodiscover.xml (POST)          Outlook, https://autodiscover.DOMAIN and DOMAIN

A web server with a certificate for these names stands in front (docs/operating.md).
"""

from config.settings import Settings
from proxy import autoconfig
from proxy.httpd import Answer, Page, Request, as_json

__all__ = ["client_pages"]

XML = "text/xml; charset=utf-8"


def client_pages(settings: Settings) -> dict[str, Page]:
    """By path, in lower case; none if [http].autoconfig is off."""
    if not settings.http.autoconfig:
        return {}
    told, login = autoconfig.services(settings), settings.http.autoconfig_login

    def thunderbird(request: Request) -> Answer:
        address = request.query.get("emailaddress", "")
        domain = autoconfig.domain_of(address, request.host, settings)
        if not domain:
            return as_json(404, {"error": "no mail domain of ours"})
        document = autoconfig.client_config(domain, told, login)
        if document is None:
            return as_json(404, {"error": "no servers to tell of; `mailweir check` says why"})
        return Answer(200, XML, document)

    def outlook(request: Request) -> Answer:
        try:
            address = autoconfig.wanted(request.body)
        except autoconfig.Refused as refused:
            return Answer(400, XML, autoconfig.unknown(600, f"Invalid Request: {refused}"))
        ours = autoconfig.our_domain(address.rpartition("@")[2], settings)
        document = autoconfig.autodiscover(address, told, login) if ours else None
        if document is None:
            return Answer(200, XML, autoconfig.unknown(500, "The email address can't be found."))
        return Answer(200, XML, document)

    config = Page(("GET",), thunderbird)
    return {
        "/mail/config-v1.1.xml": config,
        "/.well-known/autoconfig/mail/config-v1.1.xml": config,
        "/autodiscover/autodiscover.xml": Page(("POST",), outlook),
    }

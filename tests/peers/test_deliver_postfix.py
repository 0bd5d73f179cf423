"""Queued mail goes to a real Postfix: TLS, AUTH, pipelining, refusals, and a restart."""

from pathlib import Path

import pytest

from tests.certs import certificate_for
from tests.paths.hops import run_on
from tests.paths.queued import BODY, TRACE, Appliance
from tests.peers.postfix import Postfix, split_trace

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("kind", ["smtp", "smtps"])
def test_verified_tls_and_the_service_account(tmp_path: Path, kind: str) -> None:
    certificate = certificate_for()
    (tmp_path / "password").write_text("s3cret\n")
    with Postfix(users={"crm": "s3cret"}, auth_needed=True, certificate=certificate) as hop:
        port = hop.port if kind == "smtp" else hop.smtps_port
        appliance = Appliance(
            tmp_path,
            route=f"{kind}://localhost:{port}",
            tls="verify",
            ca=str(certificate.ca),
            user="crm@postfix.example.net",
            password_file=str(tmp_path / "password"),
        )
        idents = appliance.put_many([["bob@example.net"]] * 20)
        run_on("uvloop", appliance.attempt(*idents))
        assert {appliance.states(ident)[0] for ident in idents} == {"delivered"}
        mails = hop.wait_for_mails(20)
        for mail in mails:
            trace, below = split_trace(mail.content)
            assert below == BODY and trace[-1] == TRACE.encode()
        log = hop.log()
        assert "sasl_username=crm" in log
        assert 1 <= log.count(": connect from unknown[127.0.0.1]") <= 5


def test_refusals_in_postfix_words_and_a_restart(tmp_path: Path) -> None:
    with Postfix(mailboxes=["bob@example.net"]) as hop:
        appliance = Appliance(tmp_path, route=f"smtp://127.0.0.1:{hop.port}")
        ident = appliance.put(["bob@example.net", "nobody@example.net"])
        hop.stop()
        run_on("uvloop", appliance.attempt(ident))
        assert appliance.states(ident) == ["queued"] * 3
        assert appliance.replies(ident)[0].startswith("451 4.4.1 ")
        hop.start()
        appliance.now += 120
        run_on("uvloop", appliance.attempt(ident))
        assert appliance.states(ident) == ["failed", "delivered", "failed"]
        assert appliance.replies(ident)[1].startswith("550 5.1.1 <nobody@example.net>")
        assert split_trace(hop.wait_for_mails()[0].content)[1] == BODY

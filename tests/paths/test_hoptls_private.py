"""The private names of asyncio's TLS that hoptls.py builds on: this fails when one changes."""

import asyncio
import inspect
from asyncio import sslproto

from proxy.smtp.hoptls import SmallBufferTLS, client_context, tls_leg


class Nothing(asyncio.Protocol):
    pass


def test_the_buffer_is_as_large_as_max_size_says() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        leg, done = tls_leg(loop, Nothing(), client_context("may", None), "mx.example", 5)
        assert len(leg.get_buffer(-1)) == 32 * 1024
        assert leg.max_size == 32 * 1024 < sslproto.SSLProtocol.max_size
        done.cancel()

    asyncio.run(main())


def test_the_constructor_takes_what_we_give() -> None:
    names = list(inspect.signature(sslproto.SSLProtocol.__init__).parameters)
    assert names[1:7] == [
        "loop", "app_protocol", "sslcontext", "waiter", "server_side", "server_hostname",
    ]  # fmt: skip
    assert "ssl_handshake_timeout" in names
    assert issubclass(SmallBufferTLS, asyncio.BufferedProtocol)

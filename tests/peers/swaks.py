"""swaks, the mail administrator's test client, run against a port.

sent = swaks(door.port, to="bob@example.net", data=message)
assert sent.ok and "250 2.0.0" in sent.transcript
"""

import subprocess
import tempfile
from dataclasses import dataclass

from tests.peers.servers import need


@dataclass(frozen=True)
class Sent:
    code: int  # swaks's exit code: 0 if the message was taken
    transcript: str

    @property
    def ok(self) -> bool:
        return self.code == 0


def swaks(
    port: int,
    *arguments: str,
    sender: str = "alice@example.com",
    to: str = "bob@example.net",
    data: bytes | None = None,
) -> Sent:
    """One session. `data` goes out octet for octet (it ends with CRLF); other options by name."""
    command = [need("swaks"), "--server", f"127.0.0.1:{port}", "--from", sender, "--to", to]
    with tempfile.NamedTemporaryFile(prefix="mw-") as file:
        if data is not None:
            file.write(_stuffed(data))
            file.flush()
            command += ["--no-data-fixup", "--data", f"@{file.name}"]
        done = subprocess.run(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=110,
        )
    return Sent(done.returncode, done.stdout.decode("utf-8", "replace"))


def _stuffed(data: bytes) -> bytes:
    """As on the wire: with --no-data-fixup swaks adds neither dots nor the end."""
    stuffed = data.replace(b"\r\n.", b"\r\n..")
    return (b"." if data.startswith(b".") else b"") + stuffed + b".\r\n"

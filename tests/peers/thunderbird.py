"""Thunderbird without a screen, driven from within: it runs what we say by Marionette.

    with Thunderbird(account) as program: ...       # the interface of tests/peers/programs.py

Its own IMAP engine does all the work (folders, headers, bodies for offline use, copies, flags,
deletions); only the clicks are ours. Messages lie in its Maildir, flags in its database.

It goes into IDLE two seconds after its last command, and updates the folder by itself when the
server tells of news. A folder knows one listener for its updates: if that comes while an update of
ours runs, ours is never told that it has ended, with a server behind Mailweir or without. So we
ask once more when nothing has come for a while.
Cites: the Marionette protocol, version 3 (a JSON array behind its length).
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

from tests.peers.programs import Account, Held, Program, digest
from tests.peers.servers import need
from tests.ports import free_port

#: Milliseconds without anything new until Thunderbird is asked once more.
STILL = 5_000
FIRST = """
const {MailServices} = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const server = MailServices.accounts.accounts.find(
  one => one.incomingServer.type == "imap").incomingServer;
const root = server.rootFolder;
const pause = ms => new Promise(done => setTimeout(done, ms));
const folder = name => root.subFolders.find(one => one.name.toLowerCase() == name.toLowerCase())
  ?.QueryInterface(Ci.nsIMsgImapMailFolder);
const ended = begin => new Promise((done, failed) => begin({
  OnStartRunningUrl() {},
  OnStopRunningUrl(url, status) {
    status ? failed(new Error(`${url?.spec}: ${status}`)) : done();
  },
  QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
}));
const offline = one => one.flags & Ci.nsMsgMessageFlags.Offline;
// Has it ended well? Not if nothing new has come for a while either: then it is to be begun again.
let trouble = "";
const attempt = async (begin, count) => {
  let over = false, good = false;
  const told = ended(begin).then(() => { good = true; }, error => { trouble = String(error); })
    .then(() => { over = true; });
  let [before, since] = [count(), Date.now()];
  while (!over && Date.now() < since + STILL) {
    await Promise.race([told, pause(1000)]);
    const now = over ? before : count();
    if (now != before) [before, since] = [now, Date.now()];
  }
  return good;
};
const until = async (what, condition) => {
  const end = Date.now() + PATIENCE;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`never: ${what}; last trouble: ${trouble || "none"}`);
    await pause(100);
  }
};
"""
LOGIN = """
const info = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
info.init("imap://127.0.0.1", null, "imap://127.0.0.1", args[0], args[1], "", "");
await Services.logins.addLoginAsync(info);
server.performExpand(null);
const inbox = root.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
await until("folders", async () => {
  await attempt(listener => inbox.QueryInterface(Ci.nsIMsgImapMailFolder)
    .updateFolderWithListener(null, listener), () => 0);
  return folder("Sent");
});
"""
#: Header by header, then body by body; for each folder its name and how many the server has.
SYNC = """
for (const [name, count] of args[0]) {
  const box = folder(name);
  await until("headers of " + name, async () => {
    return await attempt(listener => box.updateFolderWithListener(null, listener),
                         () => box.getTotalMessages(false))
      && [...box.messages].length == count;
  });
  await until("bodies of " + name, async () => {
    const missing = () => [...box.messages].filter(one => !offline(one)).length;
    if (!missing()) return true;
    await attempt(listener => box.downloadAllForOffline(listener, null), missing);
    await pause(300);
    return false;
  });
}
"""
HELD = """
const found = [];
for (const name of ["INBOX", "Sent"])
  for (const one of folder(name).messages)
    found.push([name, one.storeToken, one.isRead, one.isFlagged,
                Boolean(one.flags & Ci.nsMsgMessageFlags.Replied)]);
return found;
"""
CHANGE = """
const inbox = folder("INBOX");
const named = subjects => {
  const wanted = new Set(subjects);
  return [...inbox.messages].filter(one => wanted.has(one.subject));
};
const [paths, flagged, deleted] = args;
for (const path of paths) {
  const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
  file.initWithPath(path);
  await new Promise((done, failed) => MailServices.copy.copyFileMessage(
    file, inbox, null, false, Ci.nsMsgMessageFlags.Read, "", {
      onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return null; },
      onStopCopy(status) { status ? failed(new Error("copy " + status)) : done(); },
      QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]),
    }, null));
}
inbox.markMessagesFlagged(named(flagged), true);
inbox.deleteMessages(named(deleted), null, true, false, null, false);
await ended(listener => inbox.expunge(listener, null));
"""


#: The account set-up's own way to ask, and what it makes of the answer.
FIND = """
const path = "resource:///modules/accountcreation/";
const {FetchConfig} = ChromeUtils.importESModule(path + "FetchConfig.sys.mjs");
const {fetchConfigFromExchange} = ChromeUtils.importESModule(path + "ExchangeAutoDiscover.sys.mjs");
const [address, password] = args;
const domain = address.split("@")[1];
const signal = new AbortController().signal;
const kinds = {
  [Ci.nsMsgSocketType.plain]: "plain", [Ci.nsMsgSocketType.SSL]: "SSL",
  [Ci.nsMsgSocketType.alwaysSTARTTLS]: "STARTTLS",
};
const plainly = one => [one.type, one.hostname, one.port, kinds[one.socketType],
  one.auth == Ci.nsMsgAuthMethod.passwordCleartext, one.username];
const told = found => [found.incoming, ...found.incomingAlternatives, found.outgoing,
  ...found.outgoingAlternatives].map(plainly);
const tried = async asking => { try { return told(await asking); } catch (error) { return null; } };
return [
  await tried(FetchConfig.fromISP(domain, address, signal)),
  await tried(fetchConfigFromExchange(domain, address, signal, null, password,
                                      async () => { throw new Error("asks the user"); })),
];
"""


class Thunderbird(Program):
    name = "thunderbird"

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self.profile = self.folder / "profile"
        self.profile.mkdir()
        self.marionette = free_port()
        self.numbers = 0
        prefs = "".join(
            f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
            for name, value in self._preferences().items()
        )
        (self.profile / "prefs.js").write_text(prefs)
        self.process: subprocess.Popen[bytes] | None = None

    def _preferences(self) -> dict[str, object]:
        account = self.account
        server = "mail.server.server1."
        return {
            "mail.accountmanager.accounts": "account1,account2",
            "mail.accountmanager.defaultaccount": "account1",
            "mail.accountmanager.localfoldersserver": "server2",
            "mail.account.account1.server": "server1",
            "mail.account.account1.identities": "id1",
            "mail.identity.id1.useremail": account.user,
            "mail.identity.id1.valid": True,
            server + "type": "imap",
            server + "hostname": "127.0.0.1",
            server + "port": account.port,
            server + "userName": account.user,
            server + "socketType": 0,
            server + "authMethod": 3,
            server + "name": "there",
            server + "offline_download": True,
            server + "using_subscription": False,
            server + "delete_model": 2,
            server + "check_new_mail": False,
            server + "login_at_startup": False,
            server + "autosync_offline_stores": False,
            server + "storeContractID": "@mozilla.org/msgstore/maildirstore;1",
            "mail.account.account2.server": "server2",
            "mail.server.server2.type": "none",
            "mail.server.server2.hostname": "Local Folders",
            "mail.server.server2.userName": "nobody",
            "mail.server.server2.name": "Local Folders",
            "marionette.port": self.marionette,
            # nothing but mail: no questions, no calls home
            "mail.shell.checkDefaultClient": False,
            "mail.provider.suppress_dialog_on_startup": True,
            "mail.inappnotifications.enabled": False,
            "mail.biff.show_alert": False,
            "mailnews.start_page.enabled": False,
            "mailnews.database.global.indexer.enabled": False,
            "datareporting.policy.dataSubmissionEnabled": False,
            "toolkit.telemetry.enabled": False,
            "app.update.enabled": False,
            "app.normandy.enabled": False,
            "extensions.update.enabled": False,
            "network.captive-portal-service.enabled": False,
            "network.connectivity-service.enabled": False,
            "services.settings.server": "data:,#remote-settings-dummy/v1",
        }

    def __enter__(self) -> Self:
        words = "--headless --no-remote --marionette --remote-allow-system-access --profile".split()
        env = {**os.environ, "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        with (self.folder / "out").open("wb") as out:
            self.process = subprocess.Popen(
                [need("thunderbird"), *words, str(self.profile)],
                env=env, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        try:
            self._connect()
            self._tell("WebDriver:NewSession", {})
            self._tell("Marionette:SetContext", {"value": "chrome"})
            patience = int(self.account.patience * 1000)
            self._tell("WebDriver:SetTimeouts", {"script": patience})
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self) -> None:
        self._script(LOGIN, self.account.user, self.account.password)

    def __exit__(self, *_: object) -> None:
        if self.process is None:
            return
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def sync(self) -> None:
        self._script(SYNC, list(self.wanted.items()))

    def held(self) -> Held:
        found: Held = Counter()
        store = self.profile / "ImapMail" / "127.0.0.1"
        for name, token, read, flagged, replied in self._script(HELD):
            octets = (store / name / "cur" / token).read_bytes()
            flags = "F" * flagged + "R" * replied + "S" * read
            found[name, digest(octets, self.account.user), flags] += 1
        return found

    def change(self, new: Sequence[bytes], flagged: set[str], deleted: set[str]) -> None:
        paths = []
        for number, octets in enumerate(new):
            path = self.folder / f"new-{number}.eml"
            path.write_bytes(octets.replace(b"\n", b"\r\n"))
            paths.append(str(path))
        self._script(CHANGE, paths, sorted(flagged), sorted(deleted))

    # Marionette

    def _connect(self) -> None:
        assert self.process is not None
        end = time.monotonic() + 60
        while True:
            try:
                self.sock = socket.create_connection(("127.0.0.1", self.marionette), 5)
                break
            except OSError:
                assert time.monotonic() < end and self.process.poll() is None, "no Marionette"
                time.sleep(0.2)
        self.sock.settimeout(self.account.patience + 10)
        self.file = self.sock.makefile("rb")
        assert self._heard()["marionetteProtocol"] == 3

    def _heard(self) -> Any:
        length = b""
        while (octet := self.file.read(1)) != b":":
            assert octet, "Thunderbird has hung up"
            length += octet
        return json.loads(self.file.read(int(length)))

    def _tell(self, name: str, parameters: dict[str, object]) -> Any:
        self.numbers += 1
        message = json.dumps([0, self.numbers, name, parameters]).encode()
        self.sock.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self._heard()
        assert error is None, error
        return result

    def _script(self, script: str, *arguments: object) -> Any:
        """Runs it inside Thunderbird with all rights; an exception of its comes back as ours."""
        patience = int(self.account.patience * 900)
        first = FIRST.replace("PATIENCE", str(patience)).replace("STILL", str(STILL))
        inner = first + script
        whole = (
            "const done = arguments[arguments.length - 1];"
            "(async (...args) => {" + inner + "})(...arguments)"
            ".then(value => done({value: value ?? null}), error => done({error: String(error)}));"
        )
        answer = self._tell(
            "WebDriver:ExecuteAsyncScript",
            {"script": whole, "args": list(arguments), "newSandbox": True, "sandbox": "system"},
        )["value"]
        assert "error" not in answer, answer["error"]
        return answer["value"]


class Finder(Thunderbird):
    """A Thunderbird that looks for the settings of an address and does nothing else. Every plain
    HTTP request of its goes to `web`, a port of this machine, whatever the host's name is; there
    is nothing at the names' HTTPS ports."""

    name = "finder"

    def __init__(self, account: Account, web: int) -> None:
        self.web = web
        super().__init__(account)

    def _preferences(self) -> dict[str, object]:
        return super()._preferences() | {
            "network.proxy.type": 1,
            "network.proxy.http": "127.0.0.1",
            "network.proxy.http_port": self.web,
            "network.proxy.ssl": "127.0.0.1",
            "network.proxy.ssl_port": 1,
            "mailnews.auto_config.fetchFromISP.sslOnly": False,
            "mailnews.auto_config.fetchFromISP.sendEmailAddress": True,
        }

    def _begin(self) -> None:
        pass

    def find(self, address: str) -> tuple[list[list[object]] | None, list[list[object]] | None]:
        """What it makes of autoconfig and of autodiscover: a list of [type, host, port, TLS,
        whether it is a password inside of it, user], reading first; None if there is nothing."""
        autoconfig, autodiscover = self._script(FIND, address, self.account.password)
        return autoconfig, autodiscover

"""Texts on the ports to listen at."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    "port.free": Text("free", "空いています"),
    "port.ours": Text("held by Mailweir, which is running", "稼働中の Mailweir が使っています"),
    "port.taken": Text("taken by another program", "ほかのプログラムが使っています"),
    "port.taken.todo": Text(
        "Run this check as root to see which one; move it, or listen elsewhere.",
        "どのプログラムかは root で実行すると分かります。移動させるか、別のポートにしてください。",
    ),
    "port.taken_by": Text("taken by {who}", "{who} が使っています"),
    "port.taken_by.todo": Text(
        "Move that program to another port (for Postfix: master.cf), or listen elsewhere.",
        "そのプログラムを別のポートへ移すか（Postfix なら master.cf）、別のポートにしてください。",
    ),
    "port.denied": Text(
        "this user may not open ports below 1024", "このユーザーは 1024 未満のポートを開けません"
    ),
    "port.denied.todo": Text(
        "Start Mailweir as a service with AmbientCapabilities=CAP_NET_BIND_SERVICE.",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE を付けたサービスとして起動してください。",
    ),
    "port.not_here": Text(
        "this machine does not have that address", "このマシンにそのアドレスはありません"
    ),
    "port.not_here.todo": Text(
        'Use an address that `ip address` shows, or "0.0.0.0" for all of them.',
        "`ip address` に出るアドレスか、すべてを表す「0.0.0.0」を使ってください。",
    ),
    "port.trouble": Text("cannot be opened: {reason}", "開けません: {reason}"),
}

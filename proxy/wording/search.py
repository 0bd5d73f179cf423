"""Texts of `mailweir search`; `search.long`, `.terms` and `.nothing` are codes of its refusals."""

from proxy.wording import Text

TEXTS: dict[str, Text] = {
    "search.long": Text(
        "TEXT: allowed are at most 1000 characters", "TEXT: 検索できるのは 1000 文字までです"
    ),
    "search.terms": Text(
        "TEXT: allowed are at most 32 words", "TEXT: 検索できる語は 32 個までです"
    ),
    "search.nothing": Text(
        "TEXT: allowed is text with at least one word to look for",
        "TEXT: 検索する語を一つ以上指定してください",
    ),
    "search.day": Text(
        "{option} {day}: allowed is a day like 2026-11-22",
        "{option} {day}: 2026-11-22 のような日付を指定してください",
    ),
    "search.none": Text("nothing found", "見つかりませんでした"),
    "search.more": Text("more with --before {place}", "続きは --before {place} で表示します"),
    "search.time": Text(
        "time was up before everything was searched; go on with --before {place}",
        "時間内に検索が終わりませんでした。続きは --before {place} で検索します",
    ),
    "search.damaged": Text(
        "the search index is damaged in {count} places; texts were read instead, which is slow",
        "検索の索引が {count} か所で壊れているため、本文を直接調べました (時間がかかります)",
    ),
    "search.column.id": Text("no.", "番号"),
    "search.column.date": Text("date", "日付"),
    "search.column.from": Text("from", "差出人"),
    "search.column.subject": Text("subject", "件名"),
    "search.column.text": Text("text", "本文"),
}

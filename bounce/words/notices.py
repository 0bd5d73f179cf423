"""Words that make a text the notice of a failure, a delay or a delivery. A core.

For texts of no known shape; the form is told in bounce/phrases.py.
"""

TABLE: dict[str, str] = {
    "delay": """
        has not yet been delivered; have not yet been delivered; warning message only;
        do not need to resend; no action is required on your part; will be retried; will retry;
        has been delayed; will continue to try; still trying to deliver;
        delivery will be retried; will keep trying; not been delivered yet;
        been temporarily delayed; continue to attempt; delivery attempts will continue;
        has not been delivered yet; message is delayed; try to deliver .. for another;
        was delayed; could not send message for past; still being retried; 配信が遅れて;
        配信が遅延; 再送を試み; 还会继续; 再次尝试
    """,
    "success": """
        successfully delivered; was delivered to the following; has been delivered to; was relayed;
        delivery was successful; has been successfully; 配信されました; 正常に配信; 已送达;
        successfully relayed
    """,
    "permanent": """
        permanent error; permanently; given up; giving up; gave up; fatal;
        could not be delivered; will not be retried; no further; undeliverable;
        delivery failed; delivery has failed; rejected
    """,
    "failure": """
        duplicated message id; loop alert; mail loop; not a member; not member; has failed due;
        could not be delivered; could not deliver; cannot be delivered; can not be delivered;
        couldnt be delivered; unable to deliver; was not delivered; wasnt delivered;
        not been delivered; not be delivered; undeliver; delivery failed; delivery has failed;
        failed to deliver; delivery failure; failed permanently; delivery error; did not reach;
        did not receive; could not be sent; cannot be sent; was not sent; couldnt be sent;
        fatal error; permanent error; permanent failure; failed delivery; failed recipient;
        returned to sender; returned to you; message was rejected; message rejected;
        has been rejected; was rejected; bounced; refused; user unknown; unknown user;
        mailbox is full; mailbox full; no such user; over quota; unknown recipient;
        invalid recipient; does not exist; doesnt exist; unknown host; not accepted;
        delivery problem; delivery errors; not deliverable; non deliverable; no longer exist;
        transcript of session; cant be delivered; non delivered; was unable to; were unable to;
        unable to send; not found; failed address; delivery attempts; not listed in;
        nicht zugestellt; unzustellbar; konnte nicht; nicht erreicht; pas pu etre; non distribu;
        na pas ete remis; impossible; no se pudo; no se puede; no ha podido; mancata consegna;
        non e stato possibile; impossibile; nao foi possivel; nao pode ser; onbestelbaar; kan niet;
        не может быть доставлено; не доставлено; не удалось; nie moze; nie mozna; 配信できません;
        送信できません;
        届けできません; 届きません; 配信されません; エラー; 見つかりません; 送達できません; お届け;
        存在しません; 配信不能; 無法; 无法; 退信; 被拒; 失败; 失敗;
        실패; 없습니다; 수 없; recipients failed; recipient failed; was aborted; were aborted;
        not been sent; wasnt sent; not authorized to send; nie mogla zostac;
        nie zostala dostarczona; teslim edilemedi; iletilemedi; nepodarilo dorucit;
        kunde inte levereras
    """,
}

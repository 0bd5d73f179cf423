"""Subjects of reports, in the languages they come in; the form is told in bounce/phrases.py.
A core."""

TABLE: dict[str, str] = {
    "failure": """
        undeliver; delivery status notification; delivery failure; delivery failed; delivery error;
        delivery fail; failure notice; failure delivery; failed delivery; failed mail;
        mail failure; returned mail; returned email; returned message; mail returned;
        message returned; returning message; returned to sender; return to sender;
        returning to sender; mail delivery; mail failed; mail system error; mail error;
        non deliver; nondeliver; not deliver; ndr|; ndn|; could not be delivered;
        could not deliver; couldnt be delivered; cannot be delivered; was not delivered;
        not be delivered; wasnt delivered; unable to deliver; delivery problem; delivery report;
        delivery notification; delivery status; message status; delivery has failed;
        message not delivered; message delivery; bounced; bounce message; rejected mail;
        mail rejected; message rejected; rejected message; message refused; user unknown;
        unknown user; mail bounce; message undeliver; problem delivering; warning message;
        error in mail; smtp error; your message wasnt; your message to; message could not;
        non remis; mail not delivered; unzustellbar; zustellung .. fehlgeschlagen; zustellung fehl;
        nicht zustellbar; nicht zugestellt; unzustellbarkeit; konnte nicht .. zugestellt;
        fehler bei der zustellung; rucksendung; echec de .. remise; echec de la; non distribu;
        non remise; non delivre; echec d; impossible de remettre; retour de mail; message non;
        no se pudo entregar; no se puede entregar; no entregado; no entregable; error de entrega;
        fallo en la entrega; devuelto; no se ha podido entregar; mensaje no; correo devuelto;
        mancata consegna; impossibile recapitare; non recapitabile; notifica di mancato;
        mancato recapito; errore di consegna; nao foi possivel entregar; nao entregue;
        falha na entrega; falha de entrega; nao e possivel entregar; devolvido; onbestelbaar;
        niet bezorgd; kan niet worden bezorgd; niet afgeleverd; olevererbart; kunde inte levereras;
        kunne ikke leveres; ikke leveret; uleverlig; toimitus epaonnistui; niedostarcz;
        nie dostarczono; zwrot; nedorucitel; nelze dorucit; не доставлено; недоставл;
        не удалось доставить; не может быть доставлено; ошибка доставки; teslim edilemedi;
        iletilemedi; 配信不能; 配信失敗; 配信エラー; 配信できません; 配信されませんでした;
        送信エラー; 送信できません; 送信失敗; 未配信; 未配達;
        届けられません; 届きません; 送達できません; エラーメール; メールエラー; メール送信エラー;
        エラー通知; 送信不能; 配送エラー; 送信結果; 返送; 不達;
        メール配信状況; 配達不能; 配信状態; 退信; 退件; 投递失败; 无法投递; 未送达; 投遞失敗;
        無法傳遞; 无法送达; 傳送失敗; 发送失败; 寄送失敗; 未傳遞; 반송;
        전송 실패; 전송실패; 배달 실패; 배달되지 않; 발송 실패; rejected posting; posting rejected;
        has been rejected
    """,
    "delay": """
        delayed; delivery delay; notification delay; warning could not send;
        not yet been delivered; still being retried; message delay; mail delay;
        delivery is delayed; delay|; delay notification; verzogert; verspatet; retarde;
        remise differee; retraso; demorado; ritardo; ritardat; atraso; vertraagd; задерж; 遅延;
        延迟; 延遲; 지연
    """,
    "success": """
        successful mail delivery; notification success; delivered|; relayed|; delivery success;
        successfully delivered; delivery confirmation; message delivered; zugestellt|;
        erfolgreich zugestellt; remis|; entregado|; 配信完了; 配信済み; 送达; 已送达;
        notification relay
    """,
}

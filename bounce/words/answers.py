"""Words of answering machines and of challenges; the form is told in bounce/phrases.py. A core."""

AWAY: dict[str, str] = {
    "away": """
        automatic reply; automatic response; auto reply; auto response; auto respon; autoreply;
        autoresponse; autoresponder; automated reply; automated response; out of office;
        out of the office; out off office; ooo|; away from; vacation; on vacation; on holiday;
        i am away; i am out; im away; im out of; away|; auto|; absence|; absent|;
        maternity leave; parental leave; annual leave; abwesen; automatische antwort;
        automatische beantwortung; nicht im buro; autoantwort; reponse automatique;
        absence du bureau; absent du bureau; absence; message d absence; en conges;
        respuesta automatica; fuera de la oficina; fuera de oficina; ausencia;
        risposta automatica; fuori sede; fuori ufficio; assenza; resposta automatica;
        fora do escritorio; ausencia temporaria; automatisch antwoord; afwezig; autosvar;
        franvaro; fravaer; automatiskt svar; automatisk svar; poissaolo; automaattinen vastaus;
        automatyczna odpowiedz; autoodpowiedz; автоответ; автоматический ответ; вне офиса;
        otomatik yanit; 自動返信; 自動応答; 自動回答; 不在; 不在通知; 休暇; 自动回复; 自動回覆;
        自动答复; 外出; 不在办公室; 자동 회신; 자동 응답; 자동회신; 부재중
    """,
}

# Nobody writes these but a program: they count wherever they stand in a subject.
ANYWHERE: dict[str, str] = {
    "away": """
        is out of the office; is out of office; will be out of the office; ist nicht im buro;
        ist abwesend; automatic reply; automatic response; autoreply; auto reply;
        auto response; autoresponse; autoresponder; automated reply; automated response;
        out of office reply; out of office autoreply; out of office notification;
        vacation reply; automatische antwort; abwesenheitsnotiz; abwesenheitsmeldung;
        abwesenheitsnachricht; reponse automatique; message dabsence; respuesta automatica;
        risposta automatica; resposta automatica; automatisch antwoord; automatiskt svar;
        automatisk svar; automatyczna odpowiedz; automatiska atbilde; автоответ;
        автоматический ответ; 自動返信; 自動応答; 不在通知; 自动回复; 自動回覆; 자동 회신;
        자동 응답
    """,
}

CHALLENGE: dict[str, str] = {
    "challenge": """
        spamarrest; spam arrest; boxbe; tmda; qconfirm; challenge response; active spam killer;
        confirm that you are a person; verify that you are a human; prove you are human;
        prove that you are; not an automated; verify you are a real; are a real person;
        confirm that you sent; confirm you sent; your message is being held until;
        held until you; your message is waiting; message is being held pending;
        request for confirmation of; needs to be confirmed; please confirm your message;
        confirm your email message; please verify your message; verification required for your;
        sender verification required; add you to .. approved senders; approved sender list;
        approved list of senders; allowed senders list; whitelist; is protected by .. antispam;
        click .. to prove; to release your message; first time you have;
        sender address verification required; suspect email folder; list of allowed senders;
        送信者認証; 確認のため .. 返信
    """,
}

# What no report says: asked before a notice is read as one.
SURELY: dict[str, str] = {
    "challenge": """
        to release your message; held because the address; held until you; prove you are human;
        prove that you are; verify that you are a human; verify that you are a person;
        confirm that you are a person; add your email address to; list of allowed senders
    """,
}

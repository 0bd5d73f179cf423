"""What servers say in European languages, by rule; the form is told in bounce/phrases.py. A core.

German, French, Spanish, Italian, Portuguese, Dutch, Polish, Russian, the Nordic languages;
without accents, as the folded text is.
"""

STRONG: dict[str, str] = {
    "mailbox_full": """
        postfach ist voll; postfach voll; postfach des empfangers ist voll; mailbox voll;
        mailbox ist voll; speicherplatz; speicherlimit; kontingent; quota uberschritten;
        kein platz; uberfullt; boite pleine; boite est pleine; boite aux lettres est pleine;
        boite aux lettres pleine; boite de reception est pleine; boite du destinataire pleine;
        boite du destinataire est pleine; quota depasse; espace insuffisant; depassement de quota;
        depasse le quota; depasse son quota; boite a lettres pleine; quota de stockage;
        buzon lleno; buzon esta lleno; buzon de entrada esta lleno; casilla llena; cuota excedida;
        excedido .. cuota; espacio insuficiente; supera la cuota; sin espacio; casella piena;
        casella e piena; casella di posta piena; casella di posta e piena; quota superata;
        spazio esaurito; spazio insufficiente; caixa cheia; caixa postal cheia;
        caixa de correio cheia; caixa de entrada cheia; caixa postal lotada; cota excedida;
        espaco insuficiente; postvak vol; mailbox is vol; postvak is vol; quotum overschreden;
        skrzynka pelna; skrzynka jest pelna; przepelniona; przekroczony limit; переполнен;
        превышен .. лимит; превышена квота; квота; нет места; brevladan ar full;
        postkassen er fuld; postboksen er full; postilaatikko on taynna; odbiorcy jest pelna
    """,
    "message_too_large": """
        nachricht ist zu gro; nachricht zu gro; zu gross; maximale nachrichtengro;
        nachrichtengro; email ist zu gro; message trop; taille maximale; trop volumineux;
        taille du message; trop grand; mensaje demasiado grande; tamano maximo;
        demasiado grande; tamano del mensaje; excede el tamano; messaggio troppo grande;
        dimensione massima; troppo grande; dimensioni del messaggio; mensagem muito grande;
        tamanho maximo; muito grande; tamanho da mensagem; te groot; berichtgrootte; za duza;
        za duzy; слишком больш; размер письма; превышает .. размер
    """,
    "throttled": """
        zu viele verbindungen; zu viele nachrichten; zu viele empfanger; trop de connexion;
        trop de messages; trop de destinataires; demasiadas conexiones; demasiados mensajes;
        demasiados destinatarios; troppe connessioni; troppi messaggi; troppi destinatari;
        muitas conexoes; muitas mensagens; limite de envio; limite d envoi; limite denvoi;
        te veel verbindingen; te veel berichten; слишком много; лимит писем;
        превышен лимит отправ
    """,
    "sender": """
        absenderadresse; absender abgelehnt; adresse de lexpediteur; adresse d expediteur;
        expediteur refuse; direccion del remitente; remitente rechazado;
        indirizzo del mittente; mittente rifiutato; endereco do remetente; remetente rejeitado;
        afzenderadres; адрес отправителя; отправитель отклонен
    """,
    "relay": """
        relais refuse; relais interdit; relay nicht erlaubt; relaying nicht;
        relay non consentito
    """,
    "block_list": """
        adresse ip source; ip bloquee; bloque pour; serveur bloque; liste noire; sperrliste;
        gesperrte ip; lista negra; lista nera; zwarte lijst; чёрн; черн .. список;
        заблокирован .. ip; ip gesperrt
    """,
    "unknown_user": """
        adressat unbekannt; empfanger unbekannt; empfanger nicht gefunden; benutzer unbekannt;
        unbekannter empfanger; unbekannter benutzer; unbekannte adresse; unbekannte empfanger;
        adresse unbekannt; adresse existiert nicht; empfanger existiert nicht;
        benutzer existiert nicht; nicht gefunden; existiert nicht; ungultige adresse;
        ungultiger empfanger; ungultige empfanger; postfach existiert nicht; konto existiert nicht;
        kein benutzer; nicht verfugbar unter; kein postfach; emailadresse .. nicht gefunden;
        wurde nicht gefunden; konnte nicht gefunden; nicht vorhanden;
        adresse destinataire invalide; destinataire invalide; destinataire inconnu;
        utilisateur inconnu; adresse inconnue; adresse invalide;
        adresse d au moins un destinataire invalide; compte inconnu; nexiste pas; n existe pas;
        introuvable; inexistant; destinataire non trouve; boite inconnue;
        adresse email introuvable; destinatario desconocido; usuario desconocido;
        usuario no existe; direccion no existe; no existe; cuenta no existe; no se encontro;
        direccion desconocida; inexistente; direccion no valida; destinatario no valido;
        no se ha encontrado; no se ha podido encontrar; destinatario sconosciuto;
        utente sconosciuto; indirizzo inesistente; utente inesistente; casella inesistente;
        indirizzo non valido; non esiste; destinatario non trovato; inesistente;
        usuario inexistente; endereco invalido; destinatario invalido; usuario nao existe;
        nao existe; nao encontrado; nao foi encontrado; nao foi possivel encontrar;
        conta inexistente; onbekende gebruiker; gebruiker onbekend; onbekende ontvanger;
        ontvanger onbekend; adres bestaat niet; bestaat niet; niet gevonden; nie istnieje;
        nieznany uzytkownik; nieznany odbiorca; adres nie istnieje; nieprawidlowy adres;
        не существует; не найден; неизвестный пользователь; неизвестный получатель; нет такого;
        несуществующ; недействительный адрес; такого пользователя нет; пользователь не; finns inte;
        okand mottagare; okand anvandare; findes ikke; finnes ikke; ukendt modtager;
        ukjent mottaker; ukjent bruker; tuntematon vastaanottaja; ei loydy; neexistuje;
        nem letezik; kullanici bulunamadi; nicht bekannt; empfaenger unbekannt; empfaenger nicht;
        empfaenger existiert; nessun utente; no es una direccion; non e un indirizzo;
        nest pas une adresse; nao e um endereco; nicht im domino; nicht im adressbuch
    """,
    "unknown_host": """
        domain existiert nicht; domain nicht gefunden; domain unbekannt; host unbekannt;
        unbekannter host; domaine inconnu; domaine introuvable; domaine inexistant;
        hote inconnu; dominio desconocido; dominio no existe; dominio inexistente;
        dominio sconosciuto; dominio non trovato; dominio invalido; domein bestaat niet;
        onbekend domein; домен не; nieznana domena; domena nie istnieje
    """,
    "inactive": """
        deaktiviert; gesperrtes konto; konto gesperrt; postfach gesperrt; konto ist gesperrt;
        inaktiv; stillgelegt; compte bloque; compte est bloque; compte du destinataire est bloque;
        compte desactive; compte suspendu; compte ferme; compte inactif; boite desactivee;
        boite inactive; cuenta desactivada; cuenta suspendida; cuenta deshabilitada;
        cuenta bloqueada; cuenta inactiva; account disabilitato; casella disabilitata;
        account sospeso; casella sospesa; utente sospeso; conta desativada; conta suspensa;
        conta bloqueada; conta inativa; conta cancelada; gedeactiveerd; uitgeschakeld;
        geblokkeerd account; konto zablokowane; konto nieaktywne; заблокирован; отключен;
        неактивен; приостановлен; fuera de servicio; destinataire archive
    """,
    "virus": "virus; schadsoftware; virus detecte; вирус; wirus; schadlich",
    "spam": """
        spamverdacht; als spam; comme spam; pourriel; courrier indesirable; indesirable;
        correo no deseado; posta indesiderata; lixo eletronico; considerado spam; спам;
        ongewenste
    """,
    "content": """
        mail rejete; inhalt abgelehnt; anhang; contenu refuse; contenu rejete; piece jointe;
        archivo adjunto; allegato; anexo; bijlage; вложени
    """,
    "unreachable": """
        verbindung abgelehnt; verbindung fehlgeschlagen; verbindung nicht moglich;
        nicht erreichbar; zeituberschreitung; keine verbindung; keine antwort;
        host nicht erreichbar; connexion refusee; connexion impossible; delai depasse;
        injoignable; delai d attente; pas de reponse; ne repond pas; conexion rechazada;
        tiempo de espera; no responde; no se pudo conectar; sin respuesta; inalcanzable;
        connessione rifiutata; tempo scaduto; non risponde; irraggiungibile;
        connessione fallita; conexao recusada; tempo esgotado; nao responde;
        verbinding geweigerd; geen verbinding; geen antwoord; соединени; не отвечает; таймаут;
        недоступен; brak odpowiedzi; brak polaczenia; przekroczono czas
    """,
    "expired": """
        zustellzeit; abgelaufen; zu lange in der; expire; delai de remise; caducado;
        ha expirado; scaduto; tempo massimo; expirou; verlopen; истек; wygas
    """,
    "system": """
        interner fehler; serverfehler; systemfehler; dienst nicht verfugbar; erreur interne;
        erreur systeme; service indisponible; error interno; error del servidor;
        servicio no disponible; errore interno; servizio non disponibile; erro interno;
        servico indisponivel; interne fout; внутренняя ошибка; blad wewnetrzny; systemfel
    """,
    "refused": "service refuse; dienst verweigert; servizio rifiutato; servicio rechazado",
    "temporary": """
        spater; vorubergehend; zeitweise; veuillez essayer plus tard; reessayer plus tard;
        temporairement; mas tarde; temporalmente; piu tardi; temporaneamente; mais tarde;
        temporariamente; tijdelijk; probeer het later; позже; временно; pozniej; tymczasowo
    """,
}

WEAK: dict[str, str] = {
    "policy": """
        abgelehnt; verweigert; blockiert; gesperrt; richtlinie; zuruckgewiesen; refuse; rejete;
        bloque; interdit; rechazado; bloqueado; denegado; politica; rifiutato; bloccato;
        negato; rejeitado; recusado; negado; geweigerd; geblokkeerd; отклонен; запрещен;
        odrzucon; zablokowan; avvisades; afvist
    """,
}

"""What servers say in English, by rule; the phrases' form is told in bounce/phrases.py. A core."""

STRONG: dict[str, str] = {
    "mailbox_full": """
        mailbox exceeded; number of messages in .. exceed; due to a full mailbox;
        reached their quota; reached its quota; reached his quota; reached the quota;
        reached storage quota; reached his storage; reached the storage; mailbox full;
        mailbox is full; mail box full; mail box is full; inbox full; inbox is full;
        folder is full; maildir full; mailfolder is full; over quota; overquota; over its quota;
        over his quota; over their quota; over the quota; quota exceed; exceeded .. quota;
        exceeds .. quota; exceeding .. quota; exceeded their storage; exceeded its storage;
        exceeded storage; storage limit; exceeded the storage; exceeded mail storage;
        storage allocation; out of storage; storage space; mailbox size limit; mailbox quota;
        mailbox exceeds; disk quota; mailbox has exceeded; mailbox limit; mailbox over;
        user is over; quota violation; quota is full; user has exhausted; exhausted .. storage;
        insufficient quota; does not have enough space; not enough space; not enough storage;
        no space left for; not enough disk space; not enough free space; mailbox would exceed;
        not enough room; exceed .. mailbox; exceeded .. mailbox; exceeds .. mailbox size;
        mailbox too large; would be over the allowed quota; too much mail data;
        too many messages in; too many messages on; maximum number of messages;
        user mailbox exceeds; quotaexceed; shutoffquotaexceeded; account is full; account full;
        is over allocation; unable to append message to .. quota; max message file size;
        has too much mail; reached .. storage; used up .. quota; quota has been exceeded;
        recipients mailbox is temporarily full; mailbox is almost full; no room in mailbox;
        message would exceed quota; account over limit; mailbox for user is full; user full|;
        mbox full; quota limit; mail quota; full mailbox; quota used; couldnt write .. disk full;
        exceeded the maximum allowable number of messages; exceeded maximum inbound message;
        mailbox space; insufficient space; exceeds the maximum mailbox size; would go over quota;
        overdrawn .. quota; exceeding receiving limits; is over its limit
    """,
    "message_too_large": """
        is too large|; message .. too large|; message too large; message too big;
        message is too large; message is too big; message size exceed; message file too big;
        message length exceed; size exceeds; message exceeds .. size; message exceeds .. limit;
        exceeds maximum message size; exceeds fixed maximum; exceeds the maximum message;
        exceeds maximum size; exceeds the maximum size; exceeds the size limit;
        exceeds size limit; exceeds a message size; exceeded maximum message size;
        message larger than; mail size limit; maximum message size; max message size;
        message size limit; exceeds recipients size limit; recipsizelimit; sendersizelimit;
        data size exceed; too large for this recipient; too large to send;
        too large to be delivered; message was too large; message was too big; email too large;
        mail too large; your message size; exceeded .. message size; message size .. exceeds;
        mail is too big; permitted message size; larger than the current system limit;
        size of the message; messages larger than; message header size exceeds;
        maximum allowed size; the message is larger
    """,
    "held": """
        delivery temporarily suspended
    """,
    "greylist": """
        greylist; graylist; grey list; gray list; greytrap; try again in .. second;
        recipient address rejected policyd; first contact; please retry in .. minute
    """,
    "throttled": """
        relay quota; reached .. daily; reached .. hourly; rate limit; ratelimit; rate limited;
        too many connections; too many concurrent; connection limit; connection rate;
        too many messages from; too many mails; too many messages; too many emails;
        too many recipients; too many sessions; too many smtp; too fast; too frequent;
        too quickly; frequency limit; throttl; sending rate; exceeded .. messages per;
        exceeded .. rate; limit on the number of; connections from your; unusual rate;
        hourly limit; daily limit; daily .. quota|; sending limit; sending quota;
        max defers and failures; emails per hour; messages per hour;
        exceeded the max emails per; receiving mail at a rate; slow down;
        number of messages per; limit exceeded for this hour; limit for connections;
        message rate; smtp session limit; concurrency limit; exceeded the limit of;
        exceeds per domain connection limit; many invalid recipients; recipient limit;
        too much load; too much traffic; too many errors; too many rcpt; limits exceeded;
        per ip connection; sent too many; suspicious due to many; resources restricted
    """,
    "sender": """
        domain of sender; sender domain; sender address; sender rejected; senders domain;
        sender verif; sender denied; sender not; sender is; senders address; invalid sender;
        bad sender; envelope sender; return path; mail from .. rejected; mailfrom; from address;
        from domain; address of the sender; sending domain; sender unknown; unknown sender;
        callout; verify sender; backscatter; from field; addresses in from;
        not allowed to send from; not authorized to send from; not a valid sender; your domain;
        your sender; null sender; empty sender; empty envelope senders; sending mta;
        senders not allowed; sender blocked; senders are not;
        client does not have permissions to send as; sendasdenied; from header; header from;
        you are not allowed to send; dont accept mail from; do not accept mail from;
        does not accept mail from; not accept mail from; rejecting mail from;
        mail from .. not accepted; refused mail from; no mail from; batv; purported responsible;
        senderfilterconfig; fully qualified email; not owned by user; unsigned dsn;
        rfc 1035 violation; empty email address; bounce attack
    """,
    "authentication": """
        dmarc; spf|; dkim; sender policy framework; arc validation; authentication;
        unauthenticated; not authenticated; authenticate; auth required; starttls; must issue a;
        tls required; requires tls; encryption; certificate; dane|; mta sts; smtp auth; senderid;
        sender id; domainkeys; tls is required
    """,
    "reverse_dns": """
        helo command; invalid bad helo name; helo reject; helo invalid; helo requires; helo host;
        helo argument; your helo access; invalid ehlo; ehlo command rejected; helo doesnt;
        reverse dns; ptr record; ptr|; rdns; reverse lookup; reverse address; no reverse;
        cannot resolve your; ip name lookup; fqdn; mismatches client ip; resolve your address;
        cannot find your hostname; cannot find your reverse; client host rejected cannot find;
        generic hostname; invalid hostname; dynamic ip; dial up; dialup; residential; unresolvable;
        valid hostname; does not resolve; hostname used; may not be mail exchanger;
        reverse resolution; not fully configured
    """,
    "relay": """
        relay denied; relay access; relaying denied; relay not permitted; relaying not;
        unable to relay; cannot relay; relay prohibited; not a relay; relay is not; no relay;
        we do not relay; relaying is prohibited; not permitted to relay; relay operation rejected;
        relaying mail; relay mail; not allowed to relay; rcpthosts; open relay;
        relaying .. not allowed; relaying to; not an open relay; insecure mail relay;
        authentication required for relay; relay from; relaydenied; relay rejected; relaying;
        outside of our domains; third party relay; dont handle mail for; not local host;
        as a relay; specify a domain
    """,
    "block_list": """
        messages from .. werent sent; messages from .. were not sent; is not allowed to send;
        invalid ip; blacklist; black list; blocklist; block list; blocked list; denylist; dnsbl;
        rbl|; dsbl; spamhaus; spamcop; barracudacentral; barracuda; sorbs|; senderscore;
        sender score; cloudmark; proofpoint; trendmicro; reputation; are listed in;
        currently listed in; found in dnsbl; listed at; listed on; listed by; listed as; is listed;
        has been blocked; was blocked; is blocked; been blocked; are blocked; blocked by;
        blocked for; blocked using; blocked due; blocked because; blocked from; blocked since;
        blocked ip; banned sending ip; banned ip; your ip; ip address .. blocked; your server is;
        your mail server; your host; your network; client host; poor reputation; bad reputation;
        s3140; s3150; abuse from; abusive; administrative prohibition; administrative block;
        bulk mail; unsolicited; sbl|; sending ip; spamming; spam source; known spammer; spammer;
        open proxy; excessive spam; black hole; temporarily blocked; blocked temporarily;
        permanently blocked; block lifted; temporarily deferred due; user complaints;
        not authorized to connect; ip blocked; connection refused by policy; mail from your;
        messages from your; connections from; mail server .. blocked; connecting ip; firewall;
        ip block; ips blocked; not accept .. from ips; denied access; is prohibited;
        bad mail server; bad ip profile; smtp server of your isp; server requires confirmation;
        confirm this mail server; account is protected by; only accepting mail from;
        traffic not accepted; due to policy; ask your postmaster for help
    """,
    "unknown_user": """
        invalid receiver; unknown receiver; receiver unknown; receiver not found;
        recipient address rejected access denied; user is not found; user is not known;
        user is not listed; user is not registered; user is not local; user isnt known;
        account is not known; account is not valid; account is not registered;
        recipient is not known; recipient is not valid; recipient is not a;
        recipient is not registered; recipient is not on; recipient is not local;
        mailbox is not known; mailbox is not valid; address is not known; address is not valid;
        address is not listed; address is not in; address is not a valid;
        address is not registered; address is not recognized; address is not found;
        not found in directory; has left the; has left our; user unknown; unknown user;
        no such user; no such recipient; no such mailbox; no such address; no such account;
        no such person; no such local user; no such email; no such username; no such id;
        no such alias; nosuchuser; user not found; user not exist; user doesnt; user does not;
        user not known; user invalid; user is unknown; user could not be found; user cannot be;
        no user; not a valid user; not a known user; not a user; not our user; not our customer;
        not a registered; not registered; not listed in; unlisted; unknown recipient;
        recipient unknown; recipient not found; recipient doesnt; recipient does not;
        recipient not exist; recipient invalid; recipient is unknown; recipient no longer;
        recipient could not; recipient cannot be; invalid recipient; invalid user; invalid mailbox;
        invalid address; invalid email; invalid local; invalid final; invalid username;
        nonexistent; non existent; non existing; non exist; recipnotfound; recipientnotfound;
        bad recipient; bad destination; bad address; bad mailbox; recipient address unknown;
        mailbox not found; mailbox unknown; mailbox doesnt; mailbox does not; mailbox invalid;
        mailbox not local; unknown mailbox; unknown address; unknown email; unknown local;
        unknown account; unknown customer; unknown or illegal; unknown destination address;
        unknown to address; unknown name; unknown virtual; unknown alias; unknown in;
        unrouteable address; unrouteable mail; unroutable address; undeliverable address;
        address not found; address unknown; address doesnt; address does not; address not exist;
        address invalid; address is invalid; address not valid; address is unknown;
        address couldnt; address could not be found; address not recognized; address wasnt found;
        address no longer; address not known; address isnt; address you entered;
        address not present; address not listed; email not found; email address not;
        account not found; account does not; account doesnt; account not exist; account is invalid;
        account unknown; account you tried; account .. does not exist;
        account that you tried to reach does not exist; no mailbox; no account; no valid recipient;
        no recipient; no email address; isnt a known; is not a known; is not known; is unknown|;
        not known to; not known at; not recognised; not recognized; not a valid mailbox;
        not a valid address; not a valid recipient; not valid recipient; is not a valid;
        is no longer valid; not listed in public; not in address book; not on this system;
        not on this server; not at this; not exist; doesnt exist; does not exist; didnt exist;
        do not exist; did not exist; dont exist; no longer on server; no longer exist;
        no longer at; no longer here; no longer works; no longer work; no longer employed;
        no longer with; no longer in use; no longer valid; no longer has; left the company;
        left our; have an account here; have a yahoo; doesnt have a; does not have a;
        doesnt have an; does not have an; undeliverable mailbox; user .. not found;
        recipient .. not found; user .. unknown; mailbox .. not found; mailbox .. does not exist;
        recipient rejected; recipient address rejected user; this address no longer; mispelled;
        misspelled; typo|; verify address failed; verification failed for; recipient verify failed;
        delivery to .. does not exist; cant find user; cannot find user; could not find user;
        couldnt find; directory lookup; not find your recipient; unable to find;
        unable to deliver to this address; delete from list; badly formed; deactivated or deleted;
        has been deleted; was deleted; been removed; illegal alias; illegal user; illegal local;
        bad local; bad username; nomatch; no match; not match any; vdeliver; dead address;
        cannot be routed; not handled by; no one at this; nobody at; not deliverable to;
        cannot accept mail for; user account is unavailable; mail receiving disabled; unknown ldap;
        null mx; does not accept mail; does not accept email; no mail service;
        domain does not receive; non active; nullmx; not found recipient; bounced address;
        cant accept user; addresses were unknown; not an active address; mailbox not present;
        no mail box; recipient not ok; badrcptto; badrecipientto; validrcptto; user missing home;
        no longer an employee; no maildir; no such local; you sent to is not valid;
        suppression list; has suppressed; previously bounced; history of bouncing
    """,
    "unknown_host": """
        malformed or unexpected name server reply; domain name not found;
        indicated no smtp service; no smtp service; host unknown name server;
        name server .. no data known; dns error domain name not found;
        couldnt find a mail exchanger; find any host; no dns; domain is not found;
        domain is not valid; domain is not registered; domain is not known; domain .. not found;
        does not resolve to; host unknown; unknown host; host not found; domain not found;
        domain unknown; unknown domain; no such domain; no such host; domain does not exist;
        domain doesnt; non existent domain; nonexistent domain; nonexistentdomain; nxdomain;
        unrouteable domain; unroutable domain; host or domain name not; unknown mail domain; no mx;
        mx record; bad host; bad domain; invalid domain; invalid host; domain couldnt be found;
        domain isnt; domain name does not; domain must resolve; unknown hostname;
        name or service not known; address family mismatch; dns domain .. does not exist;
        doesnt have any valid; couldnt be found; domain invalid; host cannot be found;
        unable to resolve route; couldnt find any host; not a domain; any mail exchanger;
        no mail server; mail server for .. not found; domain wasnt found; no valid host;
        illegal host; recipients domain; original domain; domain listed; unable to find a host;
        cannot find host; domain must exist; does not appear to be registered;
        no information found for domain
    """,
    "unsubscribed": """
        been unsubscribed; has unsubscribed; have unsubscribed; unsubscribed address;
        previously unsubscribed; recipient unsubscribed; user unsubscribed; opted out;
        requested not to receive; who marked your messages
    """,
    "moved": """
        please try new; user has moved; has moved; moved to; user moved; address changed;
        address has changed; new address; has been replaced by; no forwarding; left no address;
        no longer our customer; mailbox moved; relocated; has changed to
    """,
    "inactive": """
        account .. has been closed; account .. is closed; mailbox .. has been closed;
        no longer being used; account on hold; disabled; suspended; suspend; inactive; deactivated;
        discontinued; frozen; locked; not active; not activated; dormant; expired account;
        account expired; account has expired; mailbox has expired; account .. blocked;
        recipient account is blocked; mailbox .. blocked; account is closed; account closed;
        account has been closed; account is on hold; terminated; out of service; unused; abandoned;
        temporarily unavailable account; not enabled; closed account; account status;
        user is blocked; unactivated; account cancelled; has been inactive; mail disabled;
        no longer active; no longer accepting; no longer accept; no longer in service;
        extended inactivity; archived recipient; temporarily limited; is archived
    """,
    "virus": """
        virus; malware; infected; trojan; worm|; phish; malicious; mcspamsignature; dangerous;
        signature .. found; ransomware
    """,
    "spam": """
        spam|; spamassassin; spam message; spam content; spam score; spam rejected; spam detected;
        spamlike; junk; ube|; uce|; unsolicited; looks like spam; considered spam; bulk email;
        advertis; antispam; anti spam; spammy; blacklisted url; spam message rejected;
        high probability; probability of; undesirable; surbl; uribl; dt spm; our filters rate;
        contains a url
    """,
    "content": """
        malformed message; malformed header; malformed mime; malformed content; message content;
        content rejected; content blocked; content policy; content filter; content restrict;
        inappropriate; offensive; banned|; prohibited content; attachment; file extension;
        executable; filename; file name; file type; contents; headers too; header too;
        header error; invalid header; too many headers; bare cr; bare lf; bare line; line too long;
        lines too long; improper use of 8 bit; rfc 5322; rfc 2822; rfc 5321; mime|; charset;
        character set; no subject; subject contains; message format; message is not rfc;
        duplicate header; missing header; multiple from; messages with multiple; missing from;
        missing date; invalid message; content type; rejected by header; rejected by filter;
        filtered; body part; forbidden; conversion; not rfc; noncompliant; non compliant;
        header not found in; 8 bit data; headers fail; plain text email; only accept plain text;
        mass mailer; zip file; encapsulated
    """,
    "unavailable": """
        mailbox unavailable; mailbox not available; mailbox is unavailable; no longer available;
        user unavailable; recipient unavailable; mailbox unavaiable
    """,
    "dns_trouble": """
        dns query; dns temporary; dns timeout; dns soft; dns server; server failure; servfail;
        dns lookup failed; name server timeout; name server temporar; host not found try again;
        name service error .. try again; temporary failure in name; nameserver failure;
        nameserver timeout; name server busy; domain name server; could not contact dns;
        dns error .. timed out; temporary lookup failure; temporary name; host name lookup failure;
        temporary dns; dns failure temporar; lowest numbered mx
    """,
    "unreachable": """
        name server; name service; nameserver; lookup failed; could not resolve;
        connection timed out; connection refused; connection reset; connection failed;
        connection dropped; connection lost; connection closed; lost connection;
        connection was; connection terminated; connection died; connection to; couldnt connect;
        could not connect; cannot connect; unable to connect; failed to connect; cant connect;
        wasnt able to establish; unable to establish; unable to contact; unable to reach;
        no route to host; network is unreachable; network unreachable; host unreachable;
        host is unreachable; network error; no answer; not respond; didnt respond;
        did not respond; not responding; no response; timed out; timeout; time out;
        server is down; server down; host is down; host down; system is down; operation timed;
        dns error; dns failure; dns lookup; dns problem; bad connection; broken pipe;
        remote host closed; retry timeout; unable to route; couldnt find a host; sock err;
        socket; communication failure; mail loop; mail forwarding loop; hop count;
        too many hops; routing loop; loop detected; loops back; loop back; message looping;
        email loop; maximum hop; hopcount; too many received; points back; best mx host;
        local loop; all relevant mx; exceeded hop; server could not be reached; no hosts;
        unreachable; undelivered for; tls handshake; handshake failure; ssl error;
        mx exists .. address; mx host
    """,
    "expired": """
        message expired; delivery expired; expired|; delivery time expired; too long in;
        too long on the queue; too old; giving up on; retry time; time limit; queue too long;
        could not be delivered within; been in the queue; not delivered within; gave up;
        delivery timed out; was not delivered for; undelivered after; attempts .. failed;
        not been able to deliver; for more than; queue expired; has been deferred;
        delivery attempts; retries exceeded; retry limit; too many retries; max retr;
        maximum retr; repeatedly failed; failed for .. days; failed for .. hours; maximum time;
        lifetime; storing and forwarding
    """,
    "system": """
        not unique; ambiguous; file locked; lock failed; locking; mailbox locked;
        could not lock; local error; internal error; internal server error;
        local configuration error; configuration error; configuration problem; misconfig;
        system error; system failure; software error; server error; unexpected error;
        unexpected failure; i/o error; input output error; read error; write error; file error;
        out of memory; cannot allocate; no space left; disk full; insufficient disk;
        insufficient system; insufficient resources; insufficient storage; system full;
        filesystem; file system; permission denied; cant create; cannot create; can not create;
        cannot open; cant open; could not open; unable to open; could not load;
        error in processing; error processing; error writing; error occurred;
        service unavailable; service not available; service currently unavailable;
        service is unavailable; service temporarily; server unavailable; system not accepting;
        system unavailable; not accepting messages; system resources; resources temporarily;
        resource temporarily; transaction failed; command failed; child process; exit status;
        exit code; mailer error; command died; local delivery failed; delivery agent; pipe to;
        died with; core dump; mail system problem; database error; lookup error; timeout while;
        temporarily out; maintenance; overload; server busy; server too busy; too busy;
        system load; system problem; queue file; proxy error; backend; ldap .. error;
        returned error; ldap_; unable to process; cant exec; execv; mail system .. problem;
        technical; alias loop; aliasing; forward loop; recursive; dead letter; unable to run;
        cannot exec; permissions problem
    """,
    "temporary": """
        on hold; try again; try later; temporar; please retry; will retry; resubmit; deferred;
        later|; transient; not available at this time; currently unavailable;
        currently not available; at the moment; recipient error; not ready; come back
    """,
}

# What says little by itself: the enhanced status is asked first.
WEAK: dict[str, str] = {
    "address_rejected": """
        address rejected; recipient refused; recipient not accepted
    """,
    "policy": """
        policy; policies; blocked; block|; rejected; reject|; refused; denied; not allowed;
        not permitted; prohibited; not authorized; unauthorized; not accepted; not accept;
        restricted; restrict; permission; forbidden; not welcome; unwanted; disallowed; go away;
        dont want; declined; security; closed group; moderated; members only; not a member;
        only members; not subscribed; subscribers only; not allowed to post; may not post;
        not have permission; notauthorized; not a subscriber; access; posting; protocol violation;
        closed mailing list; closed list
    """,
    "syntax": """
        syntax error; command not; bad sequence; improper sequence; command parameter;
        unrecognized command; not implemented; bad command; protocol error
    """,
}

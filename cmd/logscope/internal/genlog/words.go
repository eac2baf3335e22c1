package genlog

func userAgents() []string {
	return []string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
		"shop-app/5.0.2 (Android 15)",
		"shop-app/5.0.1 (iOS 18.5)",
	}
}

func mailDomains() []string {
	return []string{"example.com", "example.org", "example.net", "mail.example", "post.example"}
}

func probedPaths() []string {
	return []string{
		"/.env", "/.git/config", "/wp-login.php", "/wp-admin/setup-config.php", "/phpmyadmin/index.php", "/admin/config.php",
		"/cgi-bin/luci/;stok=/locale", "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "/actuator/env", "/server-status",
		"/solr/admin/info/system", "/products/1%27%20OR%201=1--", "/..%2f..%2f..%2fetc/passwd", "/boaform/admin/formLogin", "/owa/auth/logon.aspx",
		"/api/v1/pods", "/remote/login?lang=en", "/HNAP1/", "/backup.zip", "/console/",
	}
}

// socketFrames are below the timeout of the payment provider, which is usual.
func socketFrames() []string {
	return []string{
		"java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:278)",
		"java.base/sun.nio.ch.NioSocketImpl.implRead(NioSocketImpl.java:304)",
		"shop.billing.ProviderClient.send(ProviderClient.java:118)",
		"shop.billing.ChargeService.charge(ChargeService.java:64)",
		"java.base/java.lang.Thread.run(Thread.java:1583)",
	}
}

// unusual is an exception that is not usual. Says has a place for the order.
type unusual struct {
	class, says, exception string
	frames                 []string
}

func exceptions() []unusual {
	return []unusual{
		{"ChargeService", "charge of order=%d failed", `java.lang.NullPointerException: Cannot invoke "shop.billing.Invoice.total()" because "invoice" is null`,
			[]string{"shop.billing.ChargeService.charge(ChargeService.java:71)"}},
		{"LedgerWriter", "entry of order=%d rejected", "java.lang.IllegalStateException: ledger is closed for this month",
			[]string{"shop.billing.LedgerWriter.append(LedgerWriter.java:143)", "shop.billing.ChargeService.book(ChargeService.java:98)"}},
		{"ConnectionPool", "no connection for order=%d", "java.sql.SQLTransientConnectionException: pool shop - Connection is not available, request timed out after 30000ms",
			[]string{"shop.billing.ConnectionPool.get(ConnectionPool.java:182)", "shop.billing.LedgerWriter.append(LedgerWriter.java:131)"}},
		{"ProviderClient", "provider refused the connection for order=%d", "javax.net.ssl.SSLHandshakeException: PKIX path validation failed: validity check failed",
			[]string{"java.base/sun.security.ssl.Alert.createSSLException(Alert.java:130)", "shop.billing.ProviderClient.connect(ProviderClient.java:88)"}},
		{"TaxTable", "no tax rate for order=%d", "java.lang.NumberFormatException: Character N is neither a decimal digit number, decimal point, nor \"e\" notation exponential mark.",
			[]string{"java.base/java.math.BigDecimal.<init>(BigDecimal.java:608)", "shop.billing.TaxTable.rate(TaxTable.java:45)"}},
		{"InvoiceWriter", "invoice of order=%d is incomplete", "java.util.ConcurrentModificationException",
			[]string{"java.base/java.util.ArrayList$Itr.checkForComodification(ArrayList.java:1095)", "shop.billing.InvoiceWriter.lines(InvoiceWriter.java:59)"}},
		{"ChargeService", "cannot read the answer about order=%d", "java.time.format.DateTimeParseException: Text '0000-00-00' could not be parsed: Invalid value for MonthOfYear",
			[]string{"java.base/java.time.format.DateTimeFormatter.parse(DateTimeFormatter.java:2109)", "shop.billing.ProviderAnswer.date(ProviderAnswer.java:37)"}},
		{"PaymentLoop", "thread dies while handling order=%d", "java.lang.OutOfMemoryError: Java heap space",
			[]string{"java.base/java.util.Arrays.copyOf(Arrays.java:3541)", "shop.billing.InvoiceWriter.render(InvoiceWriter.java:112)"}},
		{"RefundService", "refund for order=%d cannot be made", "shop.billing.RefundException: refund exceeds the charge",
			[]string{"shop.billing.RefundService.check(RefundService.java:61)", "shop.billing.RefundService.refund(RefundService.java:39)"}},
		{"CurrencyTable", "cannot convert order=%d", "java.lang.ArithmeticException: Non-terminating decimal expansion; no exact representable decimal result.",
			[]string{"java.base/java.math.BigDecimal.divide(BigDecimal.java:1780)", "shop.billing.CurrencyTable.convert(CurrencyTable.java:29)"}},
		{"AuditTrail", "audit of order=%d not written", "java.nio.file.AccessDeniedException: /var/lib/billing/audit",
			[]string{"java.base/sun.nio.fs.UnixException.translateToIOException(UnixException.java:90)", "shop.billing.AuditTrail.append(AuditTrail.java:54)"}},
		{"VoucherBook", "voucher of order=%d used twice", "shop.billing.VoucherException: voucher was redeemed before",
			[]string{"shop.billing.VoucherBook.redeem(VoucherBook.java:83)", "shop.billing.ChargeService.charge(ChargeService.java:58)"}},
		{"Outbox", "event about order=%d not published", "org.apache.kafka.common.errors.TimeoutException: Topic payments not present in metadata after 60000 ms.",
			[]string{"org.apache.kafka.clients.producer.KafkaProducer.doSend(KafkaProducer.java:1041)", "shop.billing.Outbox.publish(Outbox.java:47)"}},
		{"PdfRenderer", "receipt of order=%d has no glyphs", "java.lang.IllegalArgumentException: U+FFFD is not available in the font Helvetica",
			[]string{"shop.billing.PdfRenderer.text(PdfRenderer.java:212)", "shop.billing.ReceiptStore.render(ReceiptStore.java:58)"}},
		{"CardVault", "card of order=%d cannot be read", "javax.crypto.AEADBadTagException: Tag mismatch",
			[]string{"java.base/com.sun.crypto.provider.GaloisCounterMode$GCMDecrypt.doFinal(GaloisCounterMode.java:1655)", "shop.billing.CardVault.open(CardVault.java:91)"}},
		{"SettlementJob", "settlement stops at order=%d", "java.lang.StackOverflowError",
			[]string{"shop.billing.Rules.apply(Rules.java:31)", "shop.billing.Rules.apply(Rules.java:33)", "shop.billing.Rules.apply(Rules.java:33)"}},
	}
}

// dbErrors are what PostgreSQL says of a statement that fails, line by line. A # is a number.
func dbErrors() [][]string {
	return [][]string{
		{"ERROR:  deadlock detected", "DETAIL:  Process # waits for ShareLock on transaction #; blocked by process #.", "HINT:  See server log for query details.",
			`CONTEXT:  while locking tuple (#,4) in relation "orders"`, "STATEMENT:  UPDATE orders SET changed = now() WHERE id = #"},
		{"ERROR:  canceling statement due to statement timeout", "STATEMENT:  SELECT count(*) FROM orders WHERE placed > now() - interval '1 year'"},
		{`ERROR:  duplicate key value violates unique constraint "orders_pkey"`, "DETAIL:  Key (id)=(#) already exists.", "STATEMENT:  INSERT INTO orders (id, customer) VALUES (#, #)"},
		{`ERROR:  insert or update on table "cart" violates foreign key constraint "cart_product_fkey"`, `DETAIL:  Key (product)=(#) is not present in table "products".`},
		{"FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute"},
		{`FATAL:  password authentication failed for user "shop"`, `DETAIL:  Connection matched file "/etc/postgresql/pg_hba.conf" line 97: "host all all 10.20.0.0/16 scram-sha-256"`},
		{`ERROR:  relation "prices_2027" does not exist at character 15`, "STATEMENT:  SELECT * FROM prices_2027 WHERE product = #"},
		{`ERROR:  column "discount" does not exist at character 12`, "STATEMENT:  SELECT id, discount FROM products WHERE id = #"},
		{"ERROR:  invalid page in block # of relation base/16385/#"},
		{"ERROR:  out of shared memory", "HINT:  You might need to increase max_locks_per_transaction.", "STATEMENT:  VACUUM FULL"},
		{"ERROR:  could not serialize access due to concurrent update", "STATEMENT:  UPDATE products SET stock = stock - 1 WHERE id = #"},
		{"ERROR:  value too long for type character varying(40)", "STATEMENT:  UPDATE customers SET name = '#' WHERE id = #"},
		{`ERROR:  permission denied for table customers`, "STATEMENT:  COPY customers TO STDOUT"},
		{"ERROR:  division by zero", "STATEMENT:  SELECT sum(price) / count(*) FROM cart WHERE customer = #"},
		{"LOG:  could not receive data from client: Connection reset by peer"},
		{"FATAL:  terminating connection due to administrator command"},
		{`WARNING:  database "shop" must be vacuumed within # transactions`, "HINT:  To avoid a database shutdown, execute a database-wide VACUUM in that database."},
		{"ERROR:  cannot execute INSERT in a read-only transaction", "STATEMENT:  INSERT INTO cart (customer, product) VALUES (#, #)"},
	}
}

// jobErrors are how jobs of the worker fail.
func jobErrors() []string {
	return []string{
		`msg="cannot render the mail" template=order error="missing key customer.name"`,
		`msg="recipient refused" code=550 reply="5.1.1 no such user"`,
		`msg="mail server busy" code=421 reply="4.7.0 too many connections" retry_in=#s`,
		`msg="tls handshake with the mail server failed" error="x509: certificate has expired or is not yet valid"`,
		`msg="cannot resolve the mail server" host=smtp.example.net error="no such host"`,
		`msg="attachment is too large" bytes=#000000 limit=25000000`,
		`msg="panic" error="runtime error: index out of range [5] with length 5" goroutine=#`,
		`msg="lock of the queue lost" lease=#ms holder=worker-7`,
		`msg="cannot decode the job" error="unexpected end of JSON input" offset=#`,
		`msg="clock went back" by=#ms`,
		`msg="too many open files" limit=1024`,
		`msg="job given up" attempts=25 last="read tcp 10.20.2.4:#->10.20.4.9:25: i/o timeout"`,
		`msg="greylisted" code=451 reply="4.7.1 try again later"`,
		`msg="address is on the list of bounces" since=2025`,
	}
}

// upstreamReasons are why something behind the API is away; each has a place for its address.
func upstreamReasons() []string {
	return []string{
		"dial tcp %s: connect: connection refused", "dial tcp %s: i/o timeout", "dial tcp %s: connect: no route to host",
		"read tcp %s: connection reset by peer", "http: server at %s gave HTTP response to HTTPS client", "unexpected EOF from %s",
		"tls: failed to verify certificate of %s: x509: certificate has expired", "circuit breaker for %s is open",
	}
}

package loki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// action is what an answer asks for.
type action int

const (
	actAccept      action = iota // Loki has all of it
	actCount                     // Loki has all but those it names
	actSplitCount                // as actCount, but only one stream's refusals are named: send the streams apart
	actRefuse                    // Loki has none of it, for good
	actIsolate                   // Loki has none of it, since one part is bad: halve until that stands alone
	actHalve                     // too large: halve
	actStrip                     // send again without structured metadata
	actRetry                     // try again later; other pushes may pass
	actUnreachable               // try again later; other pushes would fail too
	actBlock                     // leave all pushes of this tenant: something must be set right
)

// verdict is an answer, judged.
type verdict struct {
	action     action
	cause      Cause
	after      time.Duration // Retry-After
	err        *Error        // why the push is left, if it is
	needsProof bool          // of actIsolate: the words need not be Loki's
	streamBad  bool          // of actIsolate: the labels of a stream are at fault
	overBurst  bool          // of actHalve: a rate limit, so a single entry is not lost at once
	hopeless   bool          // of overBurst: a single entry can never pass
	throttling bool          // of actRetry: 429
	streamRate int           // of throttling: bytes per second of the stream, if that is the limit met
}

// judge turns an answer into a verdict.
func judge(a *answer, now time.Time) verdict {
	if a.status == 0 {
		return judgeError(a.err)
	}
	e := &Error{Status: a.status, Message: clip(a.body)}
	after := retryAfter(a.header, now)
	switch {
	case a.status == 260:
		if strings.Contains(a.body, "(policy: '") {
			return verdict{action: actSplitCount, cause: CauseBlocked, err: e}
		}
		return verdict{action: actRefuse, cause: CauseBlocked, err: e}
	case a.status/100 == 2:
		if a.body != "" && strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			return block(e, "that is a web page, not Loki: check url")
		}
		return verdict{action: actAccept}
	case a.status == http.StatusBadRequest:
		return judge400(a, e)
	case a.status == http.StatusRequestEntityTooLarge, isMessageTooLarge(a):
		return verdict{action: actHalve, cause: CauseBodyTooLarge, err: e}
	case a.status == http.StatusTooManyRequests:
		return judge429(a.body, e, after)
	case a.status/100 == 5, a.status == http.StatusRequestTimeout, a.status == http.StatusTooEarly, a.status == http.StatusMisdirectedRequest:
		return verdict{action: actRetry, err: e, after: after}
	}
	return block(e, adviceFor(a))
}

func block(e *Error, advice string) verdict {
	e.Config, e.Advice = true, advice
	return verdict{action: actBlock, err: e}
}

// isMessageTooLarge says that one of Loki's own parts found the push too large
// (gRPC's limit between distributor and ingester).
func isMessageTooLarge(a *answer) bool {
	return a.status == 500 && strings.Contains(a.body, "ResourceExhausted") && strings.Contains(a.body, "larger than max")
}

func adviceFor(a *answer) string {
	switch {
	case a.status == http.StatusUnauthorized && strings.Contains(a.body, "no org id"):
		return "this Loki has several tenants: set tenant_id"
	case a.status == http.StatusUnauthorized:
		return "check http_user and http_passwd, or bearer_token, or tenant_id"
	case a.status == http.StatusForbidden:
		return "the credentials are known but may not write: check tenant_id and the permissions of the user or token"
	case a.status == http.StatusNotFound:
		return "nothing takes logs there: check url (logscope appends " + pushPath + " where it is missing) and that Loki's write path is enabled"
	case a.status == http.StatusProxyAuthRequired:
		return "the proxy wants credentials: give them in proxy_url (http://user:password@host:port)"
	case a.status/100 == 3:
		return fmt.Sprintf("redirects are not followed: set url to the address it points to (%s)", clip(a.header.Get("Location")))
	case a.status == http.StatusMethodNotAllowed:
		return "that is not Loki's push address: check url"
	}
	return "check url and what stands between logscope and Loki"
}

// retryAfter reads the header: seconds, or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if s, err := strconv.ParseUint(v, 10, 31); err == nil {
		return min(time.Duration(s)*time.Second, retryAfterMax)
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(t.Sub(now), 0), retryAfterMax)
	}
	return 0
}

// judgeError judges a request that got no answer.
func judgeError(err error) verdict {
	var own *Error
	if errors.As(err, &own) {
		return verdict{action: actBlock, err: own}
	}
	e := &Error{Err: err}
	if advice := tlsAdvice(err); advice != "" {
		return block(e, advice)
	}
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Advice = "check the host in url"
	case strings.Contains(err.Error(), "client conn could not be established"):
		// Of HTTP/2: the connection ended before the first answer. In TLS 1.3 that is also how a client
		// certificate is asked for, where the end overtakes the alert that says so.
		e.Advice = "the server ends the connection after the TLS handshake: if it goes on so, it may want a client certificate (cert_file, key_file)"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Err = fmt.Errorf("no answer in time: %w", err)
	}
	return verdict{action: actUnreachable, err: e}
}

// tlsAdvice says what to set right for an error of TLS; empty for another error.
func tlsAdvice(err error) string {
	var (
		unknown  x509.UnknownAuthorityError
		host     x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		notTLS   tls.RecordHeaderError
		alert    tls.AlertError
		hasAlert = errors.As(err, &alert)
	)
	switch {
	case errors.As(err, &unknown):
		return "set ca_file to the certificate of the authority that signed Loki's"
	case errors.As(err, &host):
		return "the certificate is for another host: use a name in url that it holds"
	case errors.As(err, &invalid):
		return "renew the certificate of the server, or check this machine's clock"
	case errors.As(err, &verify):
		return "check the certificate of the server, or set ca_file"
	case errors.As(err, &notTLS), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "the server does not speak TLS: use http:// in url"
	case hasAlert, strings.Contains(err.Error(), "remote error: tls:"):
		return "the server refuses the TLS connection: it may want a client certificate (cert_file, key_file)"
	}
	return ""
}

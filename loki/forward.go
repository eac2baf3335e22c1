package loki

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// Forward is a push of another sender, to go to Loki as it is.
type Forward struct {
	Body []byte
	// ContentType and ContentEncoding say what Body is; both empty: a snappy block of a PushRequest.
	ContentType, ContentEncoding string
	// Tenant is the sender's; empty: Config.TenantID.
	Tenant string
	// Header is sent, too, where the client has nothing of its own to say.
	Header http.Header
	// Query is appended to the push URL, for gateways that want one.
	Query string
	// Entries is the number of entries in Body, for the report.
	Entries int
}

// Answer is Loki's own.
type Answer struct {
	Status int // 0: none came, Err says why
	Header http.Header
	Body   []byte // its first 64 KiB
	Err    error
	// Report says what became of the entries, as far as the answer tells.
	Report Report
	// NoMetadata says that Loki refused entries because it takes no structured metadata.
	NoMetadata bool
}

// Forward sends a push once and returns Loki's answer. It neither retries nor
// splits: that is the sender's, whose push it is. Until ctx ends; Config.Timeout
// is for pushes of our own.
func (c *Client) Forward(ctx context.Context, f *Forward) Answer {
	a := c.forward(ctx, f)
	out := Answer{Status: a.status, Header: a.header, Body: []byte(a.body), Err: a.err}
	rep := &out.Report
	rep.Attempts, rep.Bytes, rep.Status = 1, len(f.Body), map[int]int{a.status: 1}
	v := judge(&a, c.now())
	switch v.action {
	case actAccept:
		rep.Accepted = f.Entries
	case actCount, actSplitCount:
		rep.Accepted = f.Entries - countRefused(rep, &Push{Body: f.Body, Entries: f.Entries}, a.body)
	case actRefuse, actIsolate:
		rep.refuse(v.cause, f.Entries, a.body)
	case actStrip:
		out.NoMetadata = true
		rep.Accepted = f.Entries - countRefused(rep, &Push{Body: f.Body, Entries: f.Entries}, a.body)
	case actHalve:
		if v.overBurst {
			rep.Err = v.err
		} else {
			rep.refuse(v.cause, f.Entries, a.body)
		}
	case actRetry, actUnreachable, actBlock:
		rep.Err = v.err
	}
	return out
}

func (c *Client) forward(ctx context.Context, f *Forward) answer {
	req, err := c.request(ctx, &Push{Tenant: f.Tenant, Body: f.Body})
	if err != nil {
		return answer{err: err}
	}
	for name, values := range f.Header {
		if _, own := req.Header[name]; !own {
			req.Header[name] = values
		}
	}
	if f.ContentType != "" {
		req.Header.Set("Content-Type", f.ContentType)
	}
	if f.ContentEncoding != "" {
		req.Header.Set("Content-Encoding", f.ContentEncoding)
	}
	if f.Query != "" {
		req.URL.RawQuery = strings.Trim(req.URL.RawQuery+"&"+f.Query, "&")
	}
	return c.ask(req)
}

// TimedOut says that no answer came in time.
func TimedOut(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

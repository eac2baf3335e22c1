package loki

import (
	"errors"
	"fmt"
	"net/url"
	"sort"
	"strings"
	"time"

	"github.com/grafana/loki-client-go/pkg/backoff"
	"github.com/grafana/loki-client-go/pkg/urlutil"
)

// defaultUserAgent is for callers that do not set their version.
const defaultUserAgent = "logscope/dev"

// What is done with a line longer than Config.MaxLineSize.
const (
	LineTruncate = "truncate"
	LineDrop     = "drop"
)

// truncatedSuffix ends a line that was cut.
const truncatedSuffix = "...[truncated]"

// Config says where Loki is and how entries are sent. The names in the errors
// of Validate and NewClient are those users write: url, ca_file, ...
type Config struct {
	URL      string // http(s)://host[:port], with or without /loki/api/v1/push
	TenantID string // X-Scope-OrgID of entries that have no tenant of their own

	HTTPUser, HTTPPasswd string // basic auth
	BearerToken          string
	BearerTokenFile      string // read again when the file changes

	CAFile             string // PEM, instead of the system's
	CertFile, KeyFile  string // PEM, client certificate; read again when they change
	InsecureSkipVerify bool

	ProxyURL  string            // empty: HTTP_PROXY, HTTPS_PROXY, NO_PROXY
	Headers   map[string]string // sent with every push
	UserAgent string

	Timeout time.Duration         // of one attempt, connection included
	Backoff backoff.BackoffConfig // MaxRetries after the first attempt of a Deliver; 0: until its context ends

	BatchSize        int           // bytes of a push before compression; one larger entry still makes a push
	MaxLineSize      int           // bytes; 0: no limit
	MaxLineAction    string        // LineTruncate or LineDrop (counted)
	OutOfOrderWindow time.Duration // entries older than this behind their stream's newest are sent apart; 0: never

	// KeepRepeats moves exact repeats of an entry by nanoseconds, so that Loki stores them all.
	KeepRepeats bool

	MaxLabels         int   // of a stream
	MaxLabelNameSize  int   // bytes; longer names are cut
	MaxLabelValueSize int   // bytes; longer values are cut
	FallbackLabel     Label // of a stream that has no other label: Loki refuses {}

	MaxStreams int // streams whose newest time is remembered, least recently used out first; about 400 B each
}

// DefaultConfig returns the defaults: all of Config but URL. They are Loki's
// own limits where Loki has one.
func DefaultConfig() Config {
	l := DefaultLabelLimits()
	return Config{
		UserAgent: defaultUserAgent,
		Timeout:   10 * time.Second,
		Backoff:   backoff.BackoffConfig{MinBackoff: 100 * time.Millisecond, MaxBackoff: 2 * time.Second, MaxRetries: 5},

		BatchSize:        1 << 20,
		MaxLineSize:      256 << 10,
		MaxLineAction:    LineTruncate,
		OutOfOrderWindow: time.Hour,
		KeepRepeats:      true,

		MaxLabels:         l.Count,
		MaxLabelNameSize:  l.NameBytes,
		MaxLabelValueSize: l.ValueBytes,
		FallbackLabel:     l.Fallback,

		MaxStreams: 10_000,
	}
}

// LabelLimits returns the limits to write labels with.
func (c *Config) LabelLimits() LabelLimits {
	return LabelLimits{Count: c.MaxLabels, NameBytes: c.MaxLabelNameSize, ValueBytes: c.MaxLabelValueSize, Fallback: c.FallbackLabel}
}

// Validate returns every fault of c, joined. It opens no file.
func (c *Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if _, err := pushURL(c.URL); err != nil {
		errs = append(errs, err)
	}
	if c.TenantID != "" && mendTenant(c.TenantID) != c.TenantID {
		fault("tenant_id %q: Loki takes letters, digits and !-_.*'() only, at most %d bytes", c.TenantID, tenantBytesMax)
	}
	errs = append(errs, c.validateAuth()...)
	if c.ProxyURL != "" {
		if _, err := parseProxy(c.ProxyURL); err != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, validateHeaders(c.Headers)...)
	if c.UserAgent != "" && !validHeaderValue(c.UserAgent) {
		fault("user_agent %q: must be printable", c.UserAgent)
	}
	errs = append(errs, c.validateSizes()...)
	return errors.Join(errs...)
}

func (c *Config) validateAuth() (errs []error) {
	fault := func(s string) { errs = append(errs, errors.New(s)) }
	basic := c.HTTPUser != "" || c.HTTPPasswd != ""
	bearer := c.BearerToken != "" || c.BearerTokenFile != ""
	if c.HTTPPasswd != "" && c.HTTPUser == "" {
		fault("http_passwd is set but http_user is not")
	}
	if basic && bearer {
		fault("http_user and bearer_token or bearer_token_file are both set: choose one")
	}
	if c.BearerToken != "" && c.BearerTokenFile != "" {
		fault("bearer_token and bearer_token_file are both set: choose one")
	}
	if c.BearerToken != "" && !validHeaderValue(c.BearerToken) {
		fault("bearer_token holds a line break or another control character")
	}
	if c.CertFile != "" && c.KeyFile == "" {
		fault("cert_file is set but key_file is not: a client certificate needs both")
	}
	if c.KeyFile != "" && c.CertFile == "" {
		fault("key_file is set but cert_file is not: a client certificate needs both")
	}
	return errs
}

func (c *Config) validateSizes() (errs []error) {
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Timeout <= 0 {
		fault("timeout %v: must be more than 0", c.Timeout)
	}
	if c.Backoff.MinBackoff <= 0 || c.Backoff.MaxBackoff < c.Backoff.MinBackoff {
		fault("backoff_min %v, backoff_max %v: must be more than 0, and backoff_max not less than backoff_min", c.Backoff.MinBackoff, c.Backoff.MaxBackoff)
	}
	if c.Backoff.MaxRetries < 0 {
		fault("backoff_retries %d: must not be negative", c.Backoff.MaxRetries)
	}
	if c.BatchSize < 1<<10 || c.BatchSize > 64<<20 {
		fault("batch_size %d: must be between 1 KiB and 64 MiB", c.BatchSize)
	}
	if c.MaxLineSize != 0 && (c.MaxLineSize < 64 || c.MaxLineSize > 64<<20) {
		fault("max_line_size %d: must be 0 (no limit), or between 64 bytes and 64 MiB", c.MaxLineSize)
	}
	if c.MaxLineAction != LineTruncate && c.MaxLineAction != LineDrop {
		fault("max_line_action %q: must be %s or %s", c.MaxLineAction, LineTruncate, LineDrop)
	}
	if c.OutOfOrderWindow < 0 {
		fault("out_of_order_window %v: must not be negative", c.OutOfOrderWindow)
	}
	if c.MaxStreams < 1 {
		fault("max_streams %d: must be at least 1", c.MaxStreams)
	}
	if c.MaxLabels < 1 {
		fault("max_labels %d: must be at least 1", c.MaxLabels)
	}
	if c.MaxLabelNameSize < 16 {
		fault("max_label_name_size %d: must be at least 16 bytes", c.MaxLabelNameSize)
	}
	if c.MaxLabelValueSize < 16 {
		fault("max_label_value_size %d: must be at least 16 bytes", c.MaxLabelValueSize)
	}
	if f := c.FallbackLabel; !ValidLabelName(f.Name) || f.Value == "" {
		fault("the fallback label %q=%q must have a valid name and a value: Loki refuses a stream without labels", f.Name, f.Value)
	}
	return errs
}

// pushURL returns the address of Loki's push endpoint for the option url.
func pushURL(s string) (*url.URL, error) {
	if strings.TrimSpace(s) == "" {
		return nil, errors.New("url is missing: give Loki's address, e.g. http://loki:3100")
	}
	var v urlutil.URLValue
	if err := v.Set(strings.TrimSpace(s)); err != nil {
		return nil, errors.New("url: " + unparsable + ", e.g. http://loki:3100")
	}
	u := v.URL
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("url %q: must begin with http:// or https://, e.g. http://loki:3100", MaskURL(s))
	case u.Hostname() == "":
		return nil, fmt.Errorf("url %q: has no host, e.g. http://loki:3100", MaskURL(s))
	case u.Fragment != "":
		return nil, fmt.Errorf("url %q: must not have a #fragment", MaskURL(s))
	}
	path := strings.TrimRight(u.Path, "/")
	if !strings.HasSuffix(path, pushPath) && !strings.HasSuffix(path, "/api/prom/push") {
		path += pushPath
	}
	u.Path, u.RawPath = path, ""
	return u, nil
}

// withoutURL drops the URL from an error of a request: it may hold a password.
func withoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// unparsable says no more of the cause: Go's own words repeat parts of the URL, and they may be of a password.
const unparsable = "cannot be parsed; write http://host:port, or http://user:password@host:port with special characters percent-encoded"

// urlMask stands for what is not shown of a URL.
const urlMask = "********"

// MaskURL returns a URL as it may be shown: without its user part and the
// values of its query, which may be secrets, and without a fragment. It works
// on text that is no URL, too, since that is when it is printed.
func MaskURL(text string) string {
	start := 0
	if i := strings.Index(text, "://"); i >= 0 {
		start = i + len("://")
	}
	if at := strings.LastIndexByte(text, '@'); at >= start {
		text = text[:start] + urlMask + text[at:]
	}
	text, _, _ = strings.Cut(text, "#")
	base, query, ok := strings.Cut(text, "?")
	if !ok {
		return text
	}
	for i, pair := range strings.Split(query, "&") {
		sep := "&"
		if i == 0 {
			sep = "?"
		}
		name, _, _ := strings.Cut(pair, "=")
		if _, err := url.QueryUnescape(name); err != nil {
			name = ""
		}
		base += sep + name + "=" + urlMask
	}
	return base
}

func parseProxy(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("proxy_url: " + unparsable)
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return nil, fmt.Errorf("proxy_url %q: must begin with http://, https:// or socks5://", MaskURL(s))
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("proxy_url %q: has no host", MaskURL(s))
	}
	return u, nil
}

// ownHeaders are set by the client itself.
var ownHeaders = [...]string{"content-type", "content-length", "content-encoding", "transfer-encoding", "connection", "host"}

func validateHeaders(headers map[string]string) (errs []error) {
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if !validHeaderName(name) {
			errs = append(errs, fmt.Errorf("header %q: not a valid header name", name))
		}
		if !validHeaderValue(headers[name]) {
			errs = append(errs, fmt.Errorf("header %q: its value holds a control character", name))
		}
		for _, own := range ownHeaders {
			if strings.EqualFold(name, own) {
				errs = append(errs, fmt.Errorf("header %q: set by logscope itself, remove it", name))
			}
		}
	}
	return errs
}

func validHeaderName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !isAlnum(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func validHeaderValue(s string) bool {
	for i := 0; i < len(s); i++ {
		if (s[i] < ' ' && s[i] != '\t') || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// mendTenant returns s as Loki takes it: a tenant may come from a record.
func mendTenant(s string) string {
	valid := len(s) <= tenantBytesMax && s != "." && s != ".."
	for i := 0; valid && i < len(s); i++ {
		valid = validTenantByte(s[i])
	}
	if valid {
		return s
	}
	b := []byte(s[:min(len(s), tenantBytesMax)])
	for i, c := range b {
		if !validTenantByte(c) {
			b[i] = '_'
		}
	}
	if s := string(b); s != "." && s != ".." {
		return s
	}
	return "_"
}

func validTenantByte(c byte) bool {
	return isAlnum(c) || strings.IndexByte("!-_.*'()", c) >= 0
}

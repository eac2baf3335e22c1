package loki

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Client sends pushes. It is safe for use by several goroutines.
type Client struct {
	cfg   Config
	url   *url.URL
	http  *http.Client
	token *tokenFile // nil without bearer_token_file
	taken takenTimes

	now  func() time.Time
	wait func(ctx context.Context, d time.Duration) // until d has passed or ctx ends
}

// NewClient returns a Client for cfg, which has been validated. It reads the
// CA, certificate, key and token files and opens no connection.
func NewClient(cfg Config) (*Client, error) {
	u, err := pushURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	tlsConfig, tlsErr := newTLSConfig(&cfg)
	proxy, proxyErr := proxyFunc(cfg.ProxyURL)
	cfg.UserAgent = cmp.Or(cfg.UserAgent, defaultUserAgent)
	c := &Client{cfg: cfg, url: u, now: time.Now, wait: wait}
	var tokenErr error
	if cfg.BearerTokenFile != "" {
		c.token = &tokenFile{path: cfg.BearerTokenFile}
		_, tokenErr = c.token.get()
	}
	if err := errors.Join(tlsErr, proxyErr, tokenErr); err != nil {
		return nil, err
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:               proxy,
			DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig:     tlsConfig,
			TLSHandshakeTimeout: tlsTimeout,
			MaxIdleConns:        idleConnsMax,
			MaxIdleConnsPerHost: idleConnsMax,
			IdleConnTimeout:     idleConnTimeout,
			DisableCompression:  true, // answers are a few bytes
			ForceAttemptHTTP2:   true,
			WriteBufferSize:     64 << 10,
		},
		// A redirect would turn the POST into a GET, or send the credentials elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

func newTLSConfig(cfg *Config) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: cfg.InsecureSkipVerify}
	var caErr, pairErr error
	if cfg.CAFile != "" {
		t.RootCAs, caErr = readCA(cfg.CAFile)
	}
	if cfg.CertFile != "" {
		pair := &keyPair{certPath: cfg.CertFile, keyPath: cfg.KeyFile}
		_, pairErr = pair.get()
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.get() }
	}
	return t, errors.Join(caErr, pairErr)
}

func proxyFunc(proxyURL string) (func(*http.Request) (*url.URL, error), error) {
	if proxyURL == "" {
		return http.ProxyFromEnvironment, nil
	}
	u, err := parseProxy(proxyURL)
	if err != nil {
		return nil, err
	}
	return http.ProxyURL(u), nil
}

// Close closes the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// answer is what came back for one request.
type answer struct {
	status int // 0: none came
	header http.Header
	body   string // the first answerBytesMax
	err    error  // set where status is 0
}

// post sends one push once.
func (c *Client) post(ctx context.Context, p *Push) answer {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := c.request(ctx, p)
	if err != nil {
		return answer{err: err}
	}
	return c.ask(req)
}

// ask sends a request once and reads the answer.
func (c *Client) ask(req *http.Request) answer {
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{err: withoutURL(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax))
	if err != nil && resp.StatusCode/100 != 2 {
		// The verdict hangs on the words, and part of them is missing: ask again.
		return answer{err: err}
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
}

func (c *Client) request(ctx context.Context, p *Push) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url.String(), bytes.NewReader(p.Body))
	if err != nil {
		return nil, withoutURL(err)
	}
	for name, value := range c.cfg.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	if tenant := p.Tenant; tenant != "" {
		req.Header.Set("X-Scope-OrgID", tenant)
	} else if c.cfg.TenantID != "" {
		req.Header.Set("X-Scope-OrgID", c.cfg.TenantID)
	}
	switch {
	case c.cfg.HTTPUser != "":
		req.SetBasicAuth(c.cfg.HTTPUser, c.cfg.HTTPPasswd)
	case c.cfg.BearerToken != "":
		req.Header.Set("Authorization", "Bearer "+c.cfg.BearerToken)
	case c.token != nil:
		token, err := c.token.get()
		if err != nil {
			return nil, &Error{Err: err, Config: true}
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

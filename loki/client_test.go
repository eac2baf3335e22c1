package loki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates for a test.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.key = newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.path("ca.pem"), "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// issue writes <name>.pem and <name>.key, and returns the pair.
func (a *authority) issue(t *testing.T, name string, notAfter time.Time) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: notAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.path(name+".pem"), "CERTIFICATE", der)
	writePEM(t, a.path(name+".key"), "PRIVATE KEY", keyDER)
	pair, err := tls.LoadX509KeyPair(a.path(name+".pem"), a.path(name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// newTLSSink serves TLS with config.
func newTLSSink(t *testing.T, config *tls.Config, script func(int, []entry) reply) *sink {
	s := &sink{script: script}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve(t)))
	s.TLS = config
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are the point
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestTLS(t *testing.T) {
	ca, other := newAuthority(t, "ours"), newAuthority(t, "other")
	good := ca.issue(t, "server", time.Now().Add(time.Hour))
	expired := ca.issue(t, "expired", time.Now().Add(-time.Hour))
	for name, tc := range map[string]struct {
		server *tls.Config
		change func(*Config)
		advice string // empty: it works
	}{
		"ca_file":              {&tls.Config{Certificates: []tls.Certificate{good}}, func(c *Config) { c.CAFile = ca.path("ca.pem") }, ""},
		"insecure_skip_verify": {&tls.Config{Certificates: []tls.Certificate{good}}, func(c *Config) { c.InsecureSkipVerify = true }, ""},
		"unknown authority":    {&tls.Config{Certificates: []tls.Certificate{good}}, nil, "ca_file"},
		"other authority":      {&tls.Config{Certificates: []tls.Certificate{good}}, func(c *Config) { c.CAFile = other.path("ca.pem") }, "ca_file"},
		"expired":              {&tls.Config{Certificates: []tls.Certificate{expired}}, func(c *Config) { c.CAFile = ca.path("ca.pem") }, "renew"},
		"TLS 1.1":              {&tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, func(c *Config) { c.CAFile = ca.path("ca.pem") }, "TLS"},
		"client certificate missing": {&tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()},
			func(c *Config) { c.CAFile = ca.path("ca.pem") }, "cert_file"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTLSSink(t, tc.server, always(reply{}))
			c, _ := newTestClient(t, s.URL, tc.change)
			left, rep := c.Deliver(t.Context(), []Push{makePush(t, 3, streamA)})
			if tc.advice == "" {
				if left != nil || rep.Accepted != 3 {
					t.Fatalf("got %d left, %v", len(left), rep.Err)
				}
				if got := s.requests[0].Proto; got != "HTTP/2.0" {
					t.Errorf("spoke %s; want HTTP/2.0, which the server offers", got)
				}
				return
			}
			e := asError(t, rep.Err)
			// The end of the connection may overtake the alert that tells why, now and then: so it is sent again, as the plugin does.
			for try := 0; try < 20 && !e.Config; try++ {
				left, rep = c.Deliver(t.Context(), []Push{makePush(t, 3, streamA)})
				e = asError(t, rep.Err)
			}
			if len(left) != 1 || !e.Config || !strings.Contains(e.Error(), tc.advice) {
				t.Errorf("got %d left, %v; want advice with %q", len(left), e, tc.advice)
			}
		})
	}
}

// A client certificate is read again when it changes: the first authority's is
// refused by the server, the second's is not.
func TestMutualTLSAndRotation(t *testing.T) {
	ca, old := newAuthority(t, "ours"), newAuthority(t, "old")
	server := ca.issue(t, "server", time.Now().Add(time.Hour))
	old.issue(t, "client", time.Now().Add(time.Hour))
	s := newTLSSink(t, &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()}, always(reply{}))
	c, _ := newTestClient(t, s.URL, func(cfg *Config) {
		cfg.CAFile, cfg.CertFile, cfg.KeyFile = ca.path("ca.pem"), old.path("client.pem"), old.path("client.key")
	})
	left, rep := c.Deliver(t.Context(), []Push{makePush(t, 3, streamA)})
	if len(left) != 1 || !asError(t, rep.Err).Config {
		t.Fatalf("got %d left, %v; want the server to refuse the old certificate", len(left), rep.Err)
	}
	ca.issue(t, "client", time.Now().Add(time.Hour))
	for _, name := range []string{"client.pem", "client.key"} {
		data, err := os.ReadFile(ca.path(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(old.path(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		touch(t, old.path(name), time.Now().Add(time.Minute))
	}
	if left, rep := c.Deliver(t.Context(), left); left != nil || rep.Accepted != 3 {
		t.Fatalf("after rotation: got %d left, %v", len(left), rep.Err)
	}
	// Gone bad, the last good one stays in use.
	if err := os.WriteFile(old.path("client.pem"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if left, rep := c.Deliver(t.Context(), []Push{makePush(t, 3, streamB)}); left != nil {
		t.Fatalf("with a bad file: got %d left, %v", len(left), rep.Err)
	}
}

func touch(t *testing.T, path string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestPlainServerForHTTPS(t *testing.T) {
	s := newSink(t, always(reply{}))
	c, _ := newTestClient(t, strings.Replace(s.URL, "http://", "https://", 1), nil)
	_, rep := c.Deliver(t.Context(), []Push{makePush(t, 1, streamA)})
	if e := asError(t, rep.Err); !e.Config || !strings.Contains(e.Advice, "http://") {
		t.Errorf("got %v; want the advice to use http://", e)
	}
}

func TestRequestHeaders(t *testing.T) {
	s := newSink(t, always(reply{}))
	c, _ := newTestClient(t, s.URL+"/gateway/", func(cfg *Config) {
		cfg.TenantID, cfg.HTTPUser, cfg.HTTPPasswd = "team-a", "user", "pa:ss"
		cfg.Headers = map[string]string{"X-Cluster": "blue"}
		cfg.UserAgent = "logscope/1.2.3"
	})
	p := makePush(t, 1, streamA)
	q := p
	q.Tenant = "team-b"
	if left, rep := c.Deliver(t.Context(), []Push{p, q}); left != nil {
		t.Fatal(rep.Err)
	}
	r := s.requests[0]
	user, passwd, _ := r.BasicAuth()
	for _, tc := range []struct{ what, got, want string }{
		{"method", r.Method, "POST"},
		{"path", r.URL.Path, "/gateway/loki/api/v1/push"},
		{"Content-Type", r.Header.Get("Content-Type"), "application/x-protobuf"},
		{"User-Agent", r.Header.Get("User-Agent"), "logscope/1.2.3"},
		{"tenant", r.Header.Get("X-Scope-OrgID"), "team-a"},
		{"tenant of a push", s.requests[1].Header.Get("X-Scope-OrgID"), "team-b"},
		{"header", r.Header.Get("X-Cluster"), "blue"},
		{"user", user, "user"},
		{"password", passwd, "pa:ss"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %q; want %q", tc.what, tc.got, tc.want)
		}
	}
	if s.requests[0].RemoteAddr != s.requests[1].RemoteAddr {
		t.Error("two pushes used two connections; want one kept alive")
	}
}

func TestBearerTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(token string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		touch(t, path, at)
	}
	start := time.Now()
	write("one\n", start)
	s := newSink(t, always(reply{}))
	c, _ := newTestClient(t, s.URL, func(cfg *Config) { cfg.BearerTokenFile = path })
	send := func(want string) {
		t.Helper()
		if left, rep := c.Deliver(t.Context(), []Push{makePush(t, 1, streamA)}); left != nil {
			t.Fatal(rep.Err)
		}
		if got := s.requests[len(s.requests)-1].Header.Get("Authorization"); got != "Bearer "+want {
			t.Errorf("got %q; want token %q", got, want)
		}
	}
	send("one")
	write("two", start.Add(time.Second))
	send("two")
	write("", start.Add(2*time.Second)) // half written
	send("two")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	send("two")
	write("three", start.Add(3*time.Second))
	send("three")
}

func TestBearerToken(t *testing.T) {
	s := newSink(t, always(reply{}))
	c, _ := newTestClient(t, s.URL, func(cfg *Config) { cfg.BearerToken = "secret" })
	if left, rep := c.Deliver(t.Context(), []Push{makePush(t, 1, streamA)}); left != nil {
		t.Fatal(rep.Err)
	}
	if got := s.requests[0].Header.Get("Authorization"); got != "Bearer secret" {
		t.Errorf("got %q", got)
	}
}

func TestProxy(t *testing.T) {
	s := newSink(t, always(reply{}))
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String()+" "+r.Header.Get("Proxy-Authorization"))
		s.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	c, _ := newTestClient(t, "http://loki.invalid:3100", func(cfg *Config) {
		cfg.ProxyURL = strings.Replace(proxy.URL, "http://", "http://me:secret@", 1)
	})
	if left, rep := c.Deliver(t.Context(), []Push{makePush(t, 1, streamA)}); left != nil {
		t.Fatal(rep.Err)
	}
	if want := "http://loki.invalid:3100/loki/api/v1/push Basic bWU6c2VjcmV0"; len(asked) != 1 || asked[0] != want {
		t.Errorf("the proxy was asked %q; want %q", asked, want)
	}
}

func TestNewClientNamesBadFiles(t *testing.T) {
	ca := newAuthority(t, "ours")
	ca.issue(t, "a", time.Now().Add(time.Hour))
	ca.issue(t, "b", time.Now().Add(time.Hour))
	garbage := ca.path("garbage")
	if err := os.WriteFile(garbage, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"no CA":        {func(c *Config) { c.CAFile = "/nonexistent/ca.pem" }, []string{"ca_file", `"/nonexistent/ca.pem"`, "no such file"}},
		"garbage CA":   {func(c *Config) { c.CAFile = garbage }, []string{"ca_file", garbage, "PEM"}},
		"no cert":      {func(c *Config) { c.CertFile, c.KeyFile = "/nonexistent/c.pem", ca.path("a.key") }, []string{"cert_file", "no such file"}},
		"no key":       {func(c *Config) { c.CertFile, c.KeyFile = ca.path("a.pem"), "/nonexistent/k" }, []string{"key_file", "no such file"}},
		"other's key":  {func(c *Config) { c.CertFile, c.KeyFile = ca.path("a.pem"), ca.path("b.key") }, []string{"cert_file", "key_file", "belong together"}},
		"no token":     {func(c *Config) { c.BearerTokenFile = "/nonexistent/t" }, []string{"bearer_token_file", "no such file"}},
		"empty token":  {func(c *Config) { c.BearerTokenFile = os.DevNull }, []string{"bearer_token_file", "empty"}},
		"several":      {func(c *Config) { c.CAFile, c.BearerTokenFile = "/nonexistent/ca", "/nonexistent/t" }, []string{"ca_file", "bearer_token_file"}},
		"a directory":  {func(c *Config) { c.CAFile = ca.dir }, []string{"ca_file", "is a directory"}},
		"no url":       {func(c *Config) { c.URL = "" }, []string{"url is missing"}},
		"proxy scheme": {func(c *Config) { c.ProxyURL = "ftp://x" }, []string{"proxy_url"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.URL = "https://127.0.0.1:1"
			tc.change(&cfg)
			_, err := NewClient(cfg)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q; want %q in it", err, want)
				}
			}
		})
	}
}

func TestRetryAfterDate(t *testing.T) {
	h := http.Header{"Retry-After": {testNow.Add(7 * time.Second).Format(http.TimeFormat)}}
	for v, want := range map[string]time.Duration{
		h.Get("Retry-After"):            7 * time.Second,
		"3":                             3 * time.Second,
		"-3":                            0,
		"99999999":                      retryAfterMax,
		"soon":                          0,
		"Mon, 02 Jan 2006 15:04:05 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {v}}, testNow); got != want {
			t.Errorf("Retry-After %q: got %v; want %v", v, got, want)
		}
	}
}

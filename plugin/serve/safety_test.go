package serve

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logscope/logscope/loki"
)

// TestBombsAreRefused before memory is taken for them, with words that say which limit it was.
func TestBombsAreRefused(t *testing.T) {
	r := newRig(t, func(c *Config) { c.BodyBytesMax, c.DecodedBytesMax, c.InflightMax = 64<<10, 1<<20, 2<<20 })
	zeros := make([]byte, 16<<20)
	snappy := binary.AppendUvarint(nil, 3<<30)
	for name, test := range map[string]struct {
		body           []byte
		mime, encoding string
		want           int
		words          string
	}{
		"gzip":               {encode(t, "gzip", zeros), "application/json", "gzip", 413, "max_decoded_size"},
		"zlib":               {encode(t, "zlib", zeros), "application/json", "deflate", 413, "max_decoded_size"},
		"deflate":            {encode(t, "deflate", zeros), "application/json", "deflate", 413, "max_decoded_size"},
		"zstd":               {encode(t, "zstd", zeros), "application/json", "zstd", 413, "max_decoded_size"},
		"snappy's length":    {append(snappy, 1, 2, 3), "application/x-protobuf", "", 413, "max_decoded_size"},
		"snappy in gzip":     {encode(t, "gzip", append(snappy, 1)), "application/x-protobuf", "gzip", 413, "max_decoded_size"},
		"snappy, cut off":    {protoPush(`{a="b"}`, 0, []string{"x"})[:9], "application/x-protobuf", "", 400, "snappy"},
		"snappy, impossible": {append(binary.AppendUvarint(nil, 1<<19), 0, 'x'), "application/x-protobuf", "", 400, "snappy"},
		"gzip, cut off":      {encode(t, "gzip", []byte("{}"))[:15], "application/json", "gzip", 400, "cannot decompress"},
		"zstd, none":         {[]byte("x"), "application/json", "zstd", 400, "cannot decompress"},
		"too large":          {zeros[:65<<10], "application/json", "", 413, "max_body_size"},
		"brotli":             {[]byte("x"), "application/json", "br", 415, "Content-Encoding"},
	} {
		for _, path := range []string{pathPush, pathIngest, pathOTLP} {
			if path != pathPush && test.mime != "application/json" {
				continue
			}
			status, text, _ := r.post(path, test.body, "Content-Type", test.mime, "Content-Encoding", test.encoding)
			if status != test.want || !strings.Contains(text, test.words) {
				t.Errorf("%s %s: got %d %q; want %d and %q", name, path, status, text, test.want, test.words)
			}
		}
	}
	if n := len(r.loki.got()); n != 0 {
		t.Errorf("%d of them reached Loki", n)
	}
	if !r.inflight.TryAcquire(r.cfg.InflightMax) {
		t.Error("not all memory was given back")
	}
}

// TestManySmallParts: two bytes of a push can be an entry of a hundred. Such pushes go to Loki as they came,
// where it can read them, else they are refused; either way no memory is taken for the parts.
func TestManySmallParts(t *testing.T) {
	r := newRig(t, nil)
	repeat := func(field byte, body string, n int) []byte { // a field with a message n times
		return bytes.Repeat(append([]byte{field, byte(len(body))}, body...), n)
	}
	wrap := func(field byte, body []byte) []byte {
		return append(binary.AppendUvarint([]byte{field}, uint64(len(body))), body...)
	}
	jsonOf := func(head, part, tail string, n int) []byte {
		return []byte(head + strings.Repeat(part+",", n) + part + tail)
	}
	for name, test := range map[string]struct {
		path, mime, encoding string
		body                 []byte
		passes               bool
	}{
		"entries":       {pathPush, "application/x-protobuf", "", loki.Compress(wrap(0x0a, repeat(0x12, "", 1<<20))), true},
		"streams":       {pathPush, "application/x-protobuf", "", loki.Compress(repeat(0x0a, "", 1<<20)), true},
		"JSON entries":  {pathPush, "application/json", "gzip", jsonOf(`{"streams":[{"stream":{},"values":[`, `["1",""]`, `]}]}`, 1<<19), true},
		"zstd entries":  {pathPush, "application/json", "zstd", jsonOf(`{"streams":[{"stream":{},"values":[`, `["1",""]`, `]}]}`, 1<<19), false},
		"lines":         {pathIngest, "", "gzip", bytes.Repeat([]byte("x\n"), 1<<20), false},
		"elements":      {pathIngest, "", "gzip", jsonOf("[", "{}", "]", 1<<19), false},
		"OTLP records":  {pathOTLP, "application/x-protobuf", "gzip", wrap(0x0a, wrap(0x12, repeat(0x12, "", 4<<20))), false},
		"OTLP values":   {pathOTLP, "application/x-protobuf", "gzip", wrap(0x0a, wrap(0x12, wrap(0x12, wrap(0x2a, wrap(0x2a, repeat(0x0a, "", 4<<20)))))), false},
		"OTLP in JSON":  {pathOTLP, "application/json", "gzip", jsonOf(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[`, "{}", `]}]}]}`, 3<<20), false},
		"OTLP, entries": {pathOTLP, "application/x-protobuf", "gzip", wrap(0x0a, wrap(0x12, repeat(0x12, "", 1<<20))), false},
	} {
		before := len(r.loki.got())
		status, text, _ := r.post(test.path, encode(t, test.encoding, test.body), "Content-Type", test.mime, "Content-Encoding", test.encoding)
		want := map[bool]int{true: http.StatusNoContent, false: http.StatusRequestEntityTooLarge}[test.passes]
		if status != want || !test.passes && !strings.Contains(text, "too many") {
			t.Errorf("%s: got %d %.100q; want %d", name, status, text, want)
		}
		if passed := len(r.loki.got()) > before; passed != test.passes {
			t.Errorf("%s: got passed %v; want %v", name, passed, test.passes)
		}
	}
}

// TestBodyOfUnknownLength is limited, too.
func TestBodyOfUnknownLength(t *testing.T) {
	r := newRig(t, func(c *Config) { c.BodyBytesMax, c.InflightMax = 200<<10, 64<<20 })
	for size, want := range map[int]int{1: 204, 100 << 10: 204, 199 << 10: 204, 201 << 10: 413, 1 << 20: 413} {
		body := bytes.Repeat([]byte("x"), size)
		req, err := http.NewRequest(http.MethodPost, r.url+pathIngest, io.MultiReader(bytes.NewReader(body))) // chunked
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			if want == 204 {
				t.Error(err)
			}
			continue // refused while it was still being sent
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d bytes: got %d; want %d", size, resp.StatusCode, want)
		}
	}
}

// TestTooManyAtOnce are sent back with a time to try again.
func TestTooManyAtOnce(t *testing.T) {
	r := newRig(t, nil)
	r.inflightWait = 20 * time.Millisecond
	if !r.inflight.TryAcquire(r.cfg.InflightMax) {
		t.Fatal("the memory is not free")
	}
	status, text, h := r.post(pathIngest, []byte("x"))
	if status != http.StatusServiceUnavailable || h.Get("Retry-After") != "1" || !strings.Contains(text, "max_inflight") {
		t.Errorf("got %d %q, Retry-After %q; want 503 and 1", status, text, h.Get("Retry-After"))
	}
	r.inflight.Release(r.cfg.InflightMax)
	if status, text, _ := r.post(pathIngest, []byte("x")); status != http.StatusNoContent {
		t.Errorf("got %d %q; want 204 once there is room", status, text)
	}
}

// dial opens a connection and sends text.
func (r *rig) dial(text string) net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		r.t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// TestSlowLoris: a sender that does not get on is closed, in its header and in its body.
func TestSlowLoris(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.HeaderTimeout, c.BodyTimeout = 100*time.Millisecond, 100*time.Millisecond
		c.View = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	})
	view := r.dial("POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
	if _, err := io.Copy(io.Discard, view); err != nil {
		t.Errorf("what the live view takes: got %v; want the connection closed", err)
	}
	header := r.dial("POST " + pathPush + " HTTP/1.1\r\nHost: localhost\r\nX-A: ")
	if n, err := io.Copy(io.Discard, header); err != nil {
		t.Errorf("header: got %d bytes, %v; want the connection closed", n, err)
	}
	body := r.dial("POST " + pathIngest + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
	resp, err := http.ReadResponse(bufio.NewReader(body), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "1" || !strings.Contains(string(text), "body_timeout") {
		t.Errorf("body: got %d %q, Retry-After %q; want 503 and 1: senders drop what a 4xx answers", resp.StatusCode, text, resp.Header.Get("Retry-After"))
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		t.Errorf("body: got %v; want the connection closed", err)
	}
}

// TestLargeHeaderIsRefused: the answer may be lost, as the connection is closed with the rest unread.
func TestLargeHeaderIsRefused(t *testing.T) {
	r := newRig(t, nil)
	conn := r.dial("POST " + pathIngest + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nX-A: " + strings.Repeat("x", 64<<10) + "\r\n\r\nx")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil {
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("got %d; want 431", resp.StatusCode)
		}
	}
	if n := len(r.loki.got()); n != 0 {
		t.Errorf("%d requests reached Loki", n)
	}
}

// TestConnectionsMax: one more is closed, and there is room again when one ends.
func TestConnectionsMax(t *testing.T) {
	r := newRig(t, func(c *Config) { c.ConnectionsMax = 2 })
	const ready = "GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n"
	open := func() (net.Conn, bool) {
		conn := r.dial(ready)
		_, err := bufio.NewReader(conn).ReadString('\n')
		return conn, err == nil
	}
	first, ok := open()
	if _, second := open(); !ok || !second {
		t.Fatal("the first two were not let in")
	}
	if _, third := open(); third {
		t.Error("a third was let in")
	}
	_ = first.Close()
	waitFor(t, func() bool { conn, ok := open(); defer conn.Close(); return ok })
	if !strings.Contains(r.log.String(), "more than 2 connections (max_connections)") {
		t.Errorf("it was not told: %s", r.log)
	}
}

// TestAuth: who shows no secret is refused; the secrets are not for Loki; files are read again.
func TestAuth(t *testing.T) {
	dir := t.TempDir()
	basic, token := filepath.Join(dir, "basic"), filepath.Join(dir, "token")
	write := func(path, text string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	write(basic, "# users\nvector:s3cret\n\n", time.Hour)
	write(token, "t0ken\n", time.Hour)
	r := newRig(t, func(c *Config) {
		c.BasicAuthFile, c.BearerTokenFile = basic, token
		c.View = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "the page") })
	})
	check := func(user, password, bearer string, want int) {
		t.Helper()
		for _, path := range []string{pathIngest, "/"} {
			req, err := http.NewRequest(map[bool]string{true: "GET", false: "POST"}[path == "/"], r.url+path, strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			if user != "" {
				req.SetBasicAuth(user, password)
			} else if bearer != "" {
				req.Header.Set("Authorization", "Bearer "+bearer)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			wantHere := want
			if path == "/" && want == 204 {
				wantHere = 200
			}
			if resp.StatusCode != wantHere || want == 401 && !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic ") {
				t.Errorf("%s %s %s%s: got %d; want %d", path, user, password, bearer, resp.StatusCode, wantHere)
			}
		}
	}
	check("", "", "", 401)
	check("vector", "wrong", "", 401)
	check("", "", "wrong", 401)
	check("", "", "vector:s3cret", 401)
	check("vector", "s3cret", "", 204)
	check("", "", "t0ken", 204)
	write(basic, "vector:n3w\n", time.Minute)
	check("vector", "s3cret", "", 401)
	check("vector", "n3w", "", 204)
	if err := os.Remove(basic); err != nil { // half of a rotation: the last good secrets hold
		t.Fatal(err)
	}
	check("vector", "n3w", "", 204)
	if resp, err := http.Get(r.url + "/ready"); err != nil || resp.Body.Close() != nil || resp.StatusCode != 200 {
		t.Errorf("/ready: got %v, %v; want 200 without credentials", resp, err)
	}
	for _, request := range r.loki.got() {
		if got := request.Header.Get("Authorization"); got != "" {
			t.Errorf("Loki was sent %q", got)
		}
	}
}

// TestWarnsWhereOthersReach, and only there.
func TestWarnsWhereOthersReach(t *testing.T) {
	for listen, want := range map[string]bool{"127.0.0.1:0": false, "localhost:0": false, "0.0.0.0:0": true, "[::]:0": true} {
		r := newRig(t, func(c *Config) { c.Listen = listen })
		if got := strings.Contains(r.log.String(), "whoever can reach that address can write logs"); got != want {
			t.Errorf("%s: got a warning %v; want %v", listen, got, want)
		}
	}
	if cfg := DefaultConfig(); exposed(cfg.Listen) {
		t.Errorf("got %s by default; want loopback", cfg.Listen)
	}
}

// TestForeignPages: a web page may neither send here, nor come under a name of its own.
func TestForeignPages(t *testing.T) {
	r := newRig(t, func(c *Config) { c.AllowedOrigins = []string{"https://logs.example.com"} })
	for _, test := range []struct {
		host, origin, site string
		want               int
	}{
		{"", "", "", 204},
		{"", "https://evil.example", "cross-site", 403},
		{"", "https://evil.example", "", 403},
		{"", "null", "cross-site", 403},
		{"", "https://logs.example.com", "cross-site", 204},
		{"evil.example:3101", "", "", 403},
		{"localhost:3101", "", "", 204},
		{"[::1]:3101", "", "", 204},
		{"logs.example.com", "", "", 204},
	} {
		req, err := http.NewRequest(http.MethodPost, r.url+pathIngest, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = test.host
		for name, value := range map[string]string{"Origin": test.origin, "Sec-Fetch-Site": test.site} {
			if value != "" {
				req.Header.Set(name, value)
			}
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != test.want {
			t.Errorf("%+v: got %d", test, resp.StatusCode)
		}
	}
}

// writeCert writes a certificate for localhost and its key.
func writeCert(t *testing.T, certPath, keyPath string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	err = errors.Join(os.WriteFile(certPath, cert, 0o600),
		os.WriteFile(keyPath, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	when := time.Now().Add(time.Duration(serial) * time.Minute) // another time each
	if err := errors.Join(os.Chtimes(certPath, when, when), os.Chtimes(keyPath, when, when)); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return pool
}

// TestTLS: a renewed certificate is used without a restart.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := writeCert(t, cert, key, 1)
	r := newRig(t, func(c *Config) { c.TLSCertFile, c.TLSKeyFile = cert, key })
	get := func(pool *x509.CertPool) error {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
		defer client.CloseIdleConnections()
		resp, err := client.Get(strings.Replace(r.url, "http://", "https://", 1) + "/ready")
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	if err := get(pool); err != nil {
		t.Fatal(err)
	}
	renewed := writeCert(t, cert, key, 2)
	if err := get(renewed); err != nil {
		t.Errorf("renewed: %v", err)
	}
	if err := get(pool); err == nil {
		t.Error("the old certificate is still in use")
	}
	if err := os.WriteFile(key, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := get(renewed); err != nil {
		t.Errorf("with a broken file: got %v; want the last good certificate", err)
	}
}

// TestFaultIsAnswered: a panic costs one request, and is counted.
func TestFaultIsAnswered(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.View = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })
	})
	resp, err := http.Get(r.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusInternalServerError || r.Relay().Stats().Panics != 1 || !strings.Contains(r.log.String(), "boom") {
		t.Errorf("got %d, %d panics; want 500, 1: %s", resp.StatusCode, r.Relay().Stats().Panics, r.log)
	}
	if status, text, _ := r.post(pathIngest, []byte("x")); status != http.StatusNoContent {
		t.Errorf("afterwards: got %d %q; want 204", status, text)
	}
}

// TestStopAnswersWhatIsUnderWay.
func TestStopAnswersWhatIsUnderWay(t *testing.T) {
	u := newUpstream(t)
	reached, release := make(chan struct{}), make(chan struct{})
	u.setAnswer(func(w http.ResponseWriter, _ int) {
		close(reached)
		<-release
		w.WriteHeader(http.StatusNoContent)
	})
	cfg := DefaultConfig()
	cfg.Listen, cfg.Pipeline.Loki.URL = "127.0.0.1:0", u.URL
	s, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l, err := s.Listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	answered := make(chan int, 1)
	go func() {
		resp, err := http.Post("http://"+l.Addr().String()+pathIngest, "", strings.NewReader("x"))
		if err != nil {
			answered <- 0
			return
		}
		_ = resp.Body.Close()
		answered <- resp.StatusCode
	}()
	<-reached
	stop()
	waitFor(t, func() bool { return s.stopping.Load() })
	close(release)
	if got := <-answered; got != http.StatusNoContent {
		t.Errorf("got %d; want 204 though the server stops", got)
	}
	if err := errors.Join(<-served, s.Close()); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestHealthChecksThatSendersDo: Vector asks for /ready, and for / where that is not found.
func TestHealthChecksThatSendersDo(t *testing.T) {
	r := newRig(t, nil)
	for path, want := range map[string]int{"/ready": 200, "/": 200, pathPush: 405, "/nowhere": 404} {
		resp, err := http.Get(r.url + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("GET %s: got %d; want %d", path, resp.StatusCode, want)
		}
	}
}

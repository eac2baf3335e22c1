package serve

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// limitListener closes connections beyond max as they come: one that waited for
// another to end would look like a server that hangs.
type limitListener struct {
	net.Listener
	max  int64
	full func()
	open atomic.Int64
}

// Accept returns the next connection that there is room for.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.max {
			return &limitConn{Conn: conn, l: l}, nil
		}
		l.open.Add(-1)
		_ = conn.Close()
		l.full()
	}
}

type limitConn struct {
	net.Conn
	l      *limitListener
	closed atomic.Bool
}

// Close closes the connection and makes room for another.
func (c *limitConn) Close() error {
	if !c.closed.Swap(true) {
		c.l.open.Add(-1)
	}
	return c.Conn.Close()
}

// certificate is the server's, read again when its files change: cert-manager renews them.
type certificate struct {
	certPath, keyPath string

	mu   sync.Mutex
	mod  [2]time.Time
	pair *tls.Certificate
}

func serverTLS(certPath, keyPath string) (*tls.Config, error) {
	c := &certificate{certPath: certPath, keyPath: keyPath}
	if _, err := c.get(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get() },
	}, nil
}

// get returns the certificate, the last good one while the files are not: a renewal may be half done.
func (c *certificate) get() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var mod [2]time.Time
	for i, path := range [...]string{c.certPath, c.keyPath} {
		info, err := os.Stat(path)
		if err != nil {
			return c.last(err)
		}
		mod[i] = info.ModTime()
	}
	if c.pair != nil && mod == c.mod {
		return c.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(c.certPath, c.keyPath)
	if err != nil {
		return c.last(err)
	}
	c.pair, c.mod = &pair, mod
	return c.pair, nil
}

func (c *certificate) last(err error) (*tls.Certificate, error) {
	if c.pair != nil {
		return c.pair, nil
	}
	return nil, fmt.Errorf("tls_cert_file %q, tls_key_file %q: %w; both must be PEM and belong together", c.certPath, c.keyPath, err)
}

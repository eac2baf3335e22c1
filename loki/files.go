package loki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// fileState tells a changed file from the one read before: Kubernetes swaps a
// symbolic link, cert-manager and people write the file again.
type fileState struct {
	mtime time.Time
	size  int64
}

func stateOf(path string) (fileState, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}, err
	}
	return fileState{info.ModTime(), info.Size()}, nil
}

// tokenFile is a bearer token that is read again when its file changes.
type tokenFile struct {
	path string

	mu    sync.Mutex
	state fileState
	token string
}

// get returns the token. When the file has gone bad it returns the last good
// token: a rotation in progress must not stop the shipping.
func (f *tokenFile) get() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	state, err := stateOf(f.path)
	if err == nil && state == f.state && f.token != "" {
		return f.token, nil
	}
	token := ""
	if err == nil {
		token, err = readToken(f.path)
	}
	if err != nil {
		if f.token != "" {
			return f.token, nil
		}
		return "", fmt.Errorf("bearer_token_file: cannot read %q: %w; check the path and its permissions", f.path, pathless(err))
	}
	f.token, f.state = token, state
	return token, nil
}

func readToken(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", errors.New("the file is empty")
	}
	if !validHeaderValue(token) {
		return "", errors.New("the token holds a line break or another control character")
	}
	return token, nil
}

// pathless drops the path that os errors repeat.
func pathless(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// readCA returns the pool of ca_file.
func readCA(path string) (*x509.CertPool, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("ca_file: cannot read %q: %w; check the path and its permissions", path, pathless(err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("ca_file: %q holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", path)
	}
	return pool, nil
}

// keyPair is a client certificate that is read again when its files change.
type keyPair struct {
	certPath, keyPath string

	mu        sync.Mutex
	cert, key fileState
	pair      *tls.Certificate
}

// get returns the certificate, the last good one when the files have gone bad.
func (k *keyPair) get() (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	cert, err := stateOf(k.certPath)
	if err != nil {
		return k.fallback(fmt.Errorf("cert_file: cannot read %q: %w; check the path and its permissions", k.certPath, pathless(err)))
	}
	key, err := stateOf(k.keyPath)
	if err != nil {
		return k.fallback(fmt.Errorf("key_file: cannot read %q: %w; check the path and its permissions", k.keyPath, pathless(err)))
	}
	if k.pair != nil && cert == k.cert && key == k.key {
		return k.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(k.certPath, k.keyPath)
	if err != nil {
		return k.fallback(fmt.Errorf("cert_file %q, key_file %q: %w; both must be PEM and belong together", k.certPath, k.keyPath, err))
	}
	k.pair, k.cert, k.key = &pair, cert, key
	return k.pair, nil
}

func (k *keyPair) fallback(err error) (*tls.Certificate, error) {
	if k.pair != nil {
		return k.pair, nil
	}
	return nil, err
}

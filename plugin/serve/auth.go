package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// auth knows who may send. nil: everybody.
type auth struct {
	basic, bearer *secrets
}

// secrets is a file of secrets, one a line, read again when it changes.
type secrets struct {
	option, path string

	mu     sync.Mutex
	mod    time.Time
	size   int64
	hashes [][sha256.Size]byte
}

func newAuth(basicFile, bearerFile string) (*auth, error) {
	if basicFile == "" && bearerFile == "" {
		return nil, nil
	}
	a := &auth{}
	for _, f := range []struct {
		option, path string
		at           **secrets
	}{{"basic_auth_file", basicFile, &a.basic}, {"auth_token_file", bearerFile, &a.bearer}} {
		if f.path == "" {
			continue
		}
		*f.at = &secrets{option: f.option, path: f.path}
		if _, err := (*f.at).get(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// allows says whether the request shows one of the secrets.
func (a *auth) allows(r *http.Request) bool {
	if user, password, ok := r.BasicAuth(); ok && a.basic != nil {
		return a.basic.has(user + ":" + password)
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return a.bearer != nil && strings.EqualFold(scheme, "Bearer") && a.bearer.has(strings.TrimSpace(token))
}

// has compares with every secret, in the same time whichever it is.
func (s *secrets) has(given string) bool {
	hashes, err := s.get()
	if err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(given))
	found := 0
	for i := range hashes {
		found |= subtle.ConstantTimeCompare(sum[:], hashes[i][:])
	}
	return found == 1
}

// get returns the secrets, the last good ones while the file is not.
func (s *secrets) get() ([][sha256.Size]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(s.path)
	if err == nil && info.ModTime().Equal(s.mod) && info.Size() == s.size && s.hashes != nil {
		return s.hashes, nil
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(s.path)
	}
	var hashes [][sha256.Size]byte
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			hashes = append(hashes, sha256.Sum256([]byte(line)))
		}
	}
	if err == nil && len(hashes) == 0 {
		err = fmt.Errorf("the file holds none")
	}
	if err != nil {
		if s.hashes != nil {
			return s.hashes, nil
		}
		return nil, fmt.Errorf("%s: cannot read secrets from %q: %w; write one a line", s.option, s.path, err)
	}
	s.hashes, s.mod, s.size = hashes, info.ModTime(), info.Size()
	return s.hashes, nil
}

// ownerOf tells senders apart by the credentials that they have for Loki, without keeping these.
func ownerOf(r *http.Request) string {
	if user, _, ok := r.BasicAuth(); ok {
		return user
	}
	if header := r.Header.Get("Authorization"); header != "" {
		sum := sha256.Sum256([]byte(header))
		return "token-" + hex.EncodeToString(sum[:4])
	}
	return ""
}

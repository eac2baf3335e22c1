package view

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

//go:embed static
var static embed.FS

// policy lets the page load its own files and nothing else. No script or style stands in the page
// itself, and no text can become markup: Trusted Types without a policy refuse innerHTML and its like.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// asset is one embedded file.
type asset struct {
	name, mime, etag string
	data             []byte
}

// newHandler builds what Handler returns.
func newHandler(h *Hub) (http.Handler, error) {
	origins := http.NewCrossOriginProtection()
	hosts := map[string]bool{"localhost": true}
	for i, given := range h.cfg.Origins {
		origin, host, err := asBrowsersSay(given)
		if err == nil {
			err = origins.AddTrustedOrigin(origin)
		}
		if err != nil {
			return nil, fmt.Errorf("origin %q: %w", given, err)
		}
		h.cfg.Origins[i] = origin
		hosts[host] = true
	}
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, "this comes from another site: only the page itself may ask")
	}))
	mux := http.NewServeMux()
	err := fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		a, err := newAsset(name)
		if err != nil {
			return err
		}
		if name == "static/index.html" {
			mux.HandleFunc("GET /{$}", a.serve)
		} else {
			mux.HandleFunc("GET /"+name, a.serve)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	mux.HandleFunc("GET /ws", h.serveWS)
	mux.HandleFunc("POST /score", h.serveScore)
	mux.HandleFunc("POST /feedback", h.serveFeedback)
	return secured(origins.Handler(mux), hosts, h.cfg.AnyHost), nil
}

// asBrowsersSay writes an origin as the header Origin has it: in lower case, without the port that is
// understood. It returns the host, too.
func asBrowsersSay(origin string) (said, host string, err error) {
	u, err := url.Parse(strings.ToLower(origin))
	if err != nil {
		return "", "", err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.ContainsAny(u.Host, "*?") {
		return "", "", errors.New("want scheme and host, such as https://logs.example.com, and no pattern")
	}
	if port := u.Port(); port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	return u.String(), u.Hostname(), nil
}

// secured adds the headers that every answer has, and refuses hosts that may be somebody else's name
// for this address.
func secured(next http.Handler, hosts map[string]bool, anyHost bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", policy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Frame-Options", "DENY")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		head.Set("Cache-Control", "no-store")
		if host := hostOf(r.Host); !anyHost && !hosts[host] && net.ParseIP(host) == nil {
			refuse(w, http.StatusForbidden, fmt.Sprintf("the live view is not served under the name %q: use localhost or an IP address, or name this origin among those allowed", host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostOf is the host of a Host header, without port and brackets.
func hostOf(header string) string {
	host := header
	if h, _, err := net.SplitHostPort(header); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func newAsset(name string) (*asset, error) {
	data, err := static.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read embedded %q: %w", name, err)
	}
	sum := sha256.Sum256(data)
	a := &asset{name: path.Base(name), data: data, etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
	switch ext := path.Ext(name); ext { // what a machine's mime.types says of .js must not matter
	case ".js":
		a.mime = "text/javascript; charset=utf-8"
	case ".css":
		a.mime = "text/css; charset=utf-8"
	case ".html":
		a.mime = "text/html; charset=utf-8"
	case ".svg":
		a.mime = "image/svg+xml"
	default:
		return nil, fmt.Errorf("embedded %q: no type is known for it", name)
	}
	return a, nil
}

// serve answers from memory; a browser that has this very content is told so.
func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", a.mime)
	w.Header().Set("ETag", a.etag)
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.data))
}

package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/pipeline"
)

// Paths that senders use.
const (
	pathPush   = "/loki/api/v1/push"
	pathOTLP   = "/otlp/v1/logs"
	pathIngest = "/ingest"
)

// handler returns all that is served, with the limits in front.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+pathPush, s.taken(s.push))
	mux.HandleFunc("POST "+pathOTLP, s.taken(s.otlp))
	mux.HandleFunc("POST "+pathIngest, s.taken(s.ingest))
	mux.HandleFunc("GET /ready", s.ready)
	if s.cfg.View != nil {
		mux.Handle("/", s.cfg.View)
	} else {
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
			s.plain(w, http.StatusOK, "logscope: POST "+pathPush+", "+pathOTLP+" or "+pathIngest)
		})
	}
	origins := http.NewCrossOriginProtection()
	for _, origin := range s.cfg.AllowedOrigins {
		_ = origins.AddTrustedOrigin(origin) // Validate has seen to that
	}
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, http.StatusForbidden, "a page of another origin may not send this: see allowed_origins")
	}))
	return s.guarded(origins.Handler(mux))
}

// guarded asks for credentials, and turns a fault of ours into an answer.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		defer s.requests.Add(-1)
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
				s.relay.CountPanic()
				s.log.Error(fmt.Sprintf(msgFault, p, debug.Stack()))
				s.refuse(w, r, http.StatusInternalServerError, "a fault in logscope, please report it: its log says more")
			}
		}()
		s.setDeadlines(w)
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		if !s.hostAllowed(r.Host) {
			s.refuse(w, r, http.StatusForbidden, "this address is for localhost only: add the origin that you use to allowed_origins")
			return
		}
		if s.auth != nil && r.URL.Path != "/ready" && !s.auth.allows(r) {
			if s.auth.basic != nil {
				h.Set("WWW-Authenticate", `Basic realm="logscope", charset="UTF-8"`)
			}
			s.refuse(w, r, http.StatusUnauthorized, "credentials are missing or wrong: see basic_auth_file and auth_token_file")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// setDeadlines bounds how long a request may take to come, and its answer to be taken. Both are the connection's,
// so each request sets its own. A WebSocket takes them off.
func (s *Server) setDeadlines(w http.ResponseWriter) {
	rc, now := http.NewResponseController(w), time.Now()
	_ = rc.SetReadDeadline(now.Add(s.cfg.BodyTimeout)) // a connection that is gone shows when it is read
	_ = rc.SetWriteDeadline(now.Add(s.cfg.BodyTimeout + 2*s.cfg.Pipeline.FlushTimeout + answerGrace))
}

// hostAllowed keeps web pages away that have their own name lead to this
// machine (DNS rebinding): on loopback only loopback's names are answered.
func (s *Server) hostAllowed(host string) bool {
	if exposed(s.cfg.Listen) {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if name == "" || strings.EqualFold(name, "localhost") || net.ParseIP(strings.Trim(name, "[]")) != nil {
		return true
	}
	for _, origin := range s.cfg.AllowedOrigins {
		if _, allowed, ok := strings.Cut(origin, "://"); ok && strings.EqualFold(allowed, host) {
			return true
		}
	}
	return false
}

// ready says that requests are taken. It does not ask for Loki: one that is away
// is for the senders to wait for, and they must reach us to find out that it is back.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if s.stopping.Load() {
		s.plain(w, http.StatusServiceUnavailable, "stopping")
		return
	}
	s.plain(w, http.StatusOK, "ready")
}

// plain answers with a line of text.
func (s *Server) plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}

// refuse answers a request that got no further, in the form that its path has for that.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	if r.URL.Path == pathOTLP {
		s.writeOTLP(w, mediaOf(r), status, text)
		return
	}
	s.plain(w, status, text)
}

// fail answers with what went wrong here.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var f *failure
	if !errors.As(err, &f) {
		f = failf(http.StatusBadRequest, "%v", err)
	}
	if f.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.after/time.Second)))
	}
	s.refuse(w, r, f.status, "logscope: "+f.text)
}

// request is a request whose body is there.
type request struct {
	*http.Request
	*body
	claim *claim
	media string // Content-Type without parameters
}

// mediaOf is a request's Content-Type without parameters.
func mediaOf(r *http.Request) string {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return media
}

// taken reads the body before handle is called, and gives its memory back after.
func (s *Server) taken(handle func(http.ResponseWriter, *request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &claim{ctx: r.Context(), from: s.inflight, wait: s.inflightWait}
		defer c.release()
		body, err := s.read(w, r, c)
		if err == nil {
			err = handle(w, &request{Request: r, body: body, claim: c, media: mediaOf(r)})
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

// push takes Loki's own formats.
func (s *Server) push(w http.ResponseWriter, r *request) error {
	p := s.relayed(r)
	p.Verbatim = r.known
	// The encoding by the name that Loki has for it: it knows neither "identity" nor "x-gzip".
	p.Send.ContentType, p.Send.ContentEncoding = r.Header.Get("Content-Type"), r.encoding
	if r.media == mimeJSON {
		p.Raw = func(int64) ([]byte, bool, error) {
			raw, err := rawFromJSON(r.decoded)
			return raw, false, err
		}
	} else {
		raw, err := s.unsnap(r.decoded, r.claim)
		if err != nil {
			return err
		}
		p.Raw = func(int64) ([]byte, bool, error) { return raw, false, nil }
	}
	return s.pass(w, r, p, s.answer)
}

// relayed begins what a request is to Loki.
func (s *Server) relayed(r *request) *pipeline.RelayPush {
	p := &pipeline.RelayPush{Identity: r.came, Format: r.URL.Path + " " + r.media + " " + r.encoding}
	p.Send = loki.Forward{Body: r.came, Tenant: r.Header.Get("X-Scope-OrgID"), Header: s.passedHeader(r.Request), Query: r.URL.RawQuery}
	if s.passesAuth() {
		p.Owner = ownerOf(r.Request)
	}
	return p
}

// passesAuth says that senders' credentials are for Loki: we ask for none and have none of our own.
func (s *Server) passesAuth() bool {
	c := &s.cfg.Pipeline.Loki
	return s.auth == nil && c.HTTPUser == "" && c.BearerToken == "" && c.BearerTokenFile == ""
}

// keptHeaders are not sent on: they are of the connection, of the body, or set by the client itself.
var keptHeaders = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true, "Proxy-Connection": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Expect": true,
	"Content-Type": true, "Content-Encoding": true, "Content-Length": true, "Accept-Encoding": true, "User-Agent": true,
	"X-Scope-Orgid": true, "Origin": true, "Cookie": true,
}

// passedHeader is what else a sender says: gateways in front of Loki may want it.
func (s *Server) passedHeader(r *http.Request) http.Header {
	h := http.Header{}
	for name, values := range r.Header {
		if !keptHeaders[name] && (name != "Authorization" || s.passesAuth()) {
			h[name] = values
		}
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		h["X-Forwarded-For"] = []string{strings.Join(append(r.Header.Values("X-Forwarded-For"), host), ", ")}
	}
	return h
}

// pass sends a push on and answers.
func (s *Server) pass(w http.ResponseWriter, r *request, p *pipeline.RelayPush, answer func(http.ResponseWriter, *request, *loki.Answer)) error {
	a, err := s.relay.Push(r.Context(), p)
	if errors.Is(err, loki.ErrTooMany) {
		return failf(http.StatusRequestEntityTooLarge, "%v", err)
	}
	if err != nil {
		return failf(http.StatusBadRequest, "%v", err)
	}
	answer(w, r, &a)
	return nil
}

// answer answers as Loki did.
func (s *Server) answer(w http.ResponseWriter, _ *request, a *loki.Answer) {
	status, text := s.statusOf(a)
	h := w.Header()
	for _, name := range [...]string{"Content-Type", "Retry-After"} {
		if v := a.Header.Get(name); v != "" {
			h.Set(name, v)
		}
	}
	if text != "" {
		s.plain(w, status, text)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(a.Body)
}

// statusOf is the answer's status; text is ours where there was no answer, or none to pass on.
func (s *Server) statusOf(a *loki.Answer) (status int, text string) {
	switch {
	case a.Status == 0 && loki.TimedOut(a.Err):
		return http.StatusGatewayTimeout, fmt.Sprintf("logscope: Loki did not answer within %v", s.cfg.Pipeline.FlushTimeout)
	case a.Status == 0:
		return http.StatusBadGateway, fmt.Sprintf("logscope: cannot reach Loki: %v", a.Err)
	case a.Status/100 == 3:
		// A sender that follows it would go past us, or lose its body.
		return http.StatusBadGateway, "logscope: Loki's address redirects to another: set url to that one"
	}
	return a.Status, ""
}

// jsonText is s as a JSON string.
func jsonText(s string) []byte {
	quoted, _ := json.Marshal(s) // a string always marshals
	return quoted
}

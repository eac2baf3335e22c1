// Package serve stands in front of Loki for senders that cannot load the
// plugin: it takes their pushes in Loki's own formats, as OTLP logs and as
// NDJSON, has them scored, sends them on and answers what Loki answers.
package serve

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/pipeline"
)

// Config is what a Server needs to know. conf fills it.
type Config struct {
	// Pipeline says where Loki is and how to score. Its Shape is for NDJSON: the
	// other formats bring labels and lines of their own.
	Pipeline pipeline.Config
	// Listen is the host and port of the HTTP server.
	Listen string
	// ListenTCP and ListenUnix take NDJSON without HTTP; empty: not.
	ListenTCP, ListenUnix string

	TLSCertFile, TLSKeyFile string // PEM; read again when they change
	// BasicAuthFile holds user:password, BearerTokenFile a token, one a line; read again when
	// they change. Both empty: whoever can connect may send.
	BasicAuthFile, BearerTokenFile string
	// AllowedOrigins are web origins other than our own whose pages may send requests.
	AllowedOrigins []string

	BodyBytesMax    int64 // of a request, as it comes
	DecodedBytesMax int64 // of a request, decompressed
	InflightMax     int64 // bytes of all requests at once, both ways counted
	LineBytesMax    int64 // of one line of NDJSON
	ConnectionsMax  int

	HeaderTimeout time.Duration // until a request's header is there
	BodyTimeout   time.Duration // until its body is there
	IdleTimeout   time.Duration // of a connection between requests

	// View, where set, serves what is no path of ours: the live view.
	View http.Handler
}

// Defaults that are not the pipeline's.
const (
	ListenDefault = "127.0.0.1:3101"
	// BodyBytesMaxDefault is four times what senders batch by default (Fluent Bit 2 MB, Vector and Promtail 1 MB)
	// and more; Loki itself takes 100 MB.
	BodyBytesMaxDefault    = 8 << 20
	DecodedBytesMaxDefault = 32 << 20
	// InflightMaxDefault keeps the process under 200 MB together with what is learned.
	InflightMaxDefault = 64 << 20
	// LineBytesMaxDefault is four times Loki's own max_line_size.
	LineBytesMaxDefault   = 1 << 20
	ConnectionsMaxDefault = 4096
	HeaderTimeoutDefault  = 10 * time.Second
	BodyTimeoutDefault    = 30 * time.Second
	IdleTimeoutDefault    = 2 * time.Minute
	// AnswerTimeoutDefault is how long Loki may take: longer than any answer of a healthy one, shorter than senders wait.
	AnswerTimeoutDefault = 30 * time.Second
)

// DefaultConfig returns the defaults; Pipeline.Loki.URL is still to be set.
func DefaultConfig() Config {
	p := pipeline.DefaultConfig()
	p.FlushTimeout = AnswerTimeoutDefault
	return Config{
		Pipeline: p, Listen: ListenDefault,
		BodyBytesMax: BodyBytesMaxDefault, DecodedBytesMax: DecodedBytesMaxDefault, InflightMax: InflightMaxDefault,
		LineBytesMax: LineBytesMaxDefault, ConnectionsMax: ConnectionsMaxDefault,
		HeaderTimeout: HeaderTimeoutDefault, BodyTimeout: BodyTimeoutDefault, IdleTimeout: IdleTimeoutDefault,
	}
}

// Validate returns every fault of c, joined. It opens no file.
func (c *Config) Validate() error {
	errs := []error{c.Pipeline.Validate()}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		errs = append(errs, errors.New("tls_cert_file and tls_key_file: TLS needs both"))
	}
	if c.InflightMax < c.BodyBytesMax+c.DecodedBytesMax {
		errs = append(errs, fmt.Errorf("max_inflight %d: must be at least max_body_size and max_decoded_size together (%d): else the largest request would never be taken",
			c.InflightMax, c.BodyBytesMax+c.DecodedBytesMax))
	}
	if need := lineClaim * c.LineBytesMax; (c.ListenTCP != "" || c.ListenUnix != "") && c.InflightMax < need {
		errs = append(errs, fmt.Errorf("max_inflight %d: must be at least %d times max_line (%d) with listen_tcp or listen_unix: else the longest line would never be taken",
			c.InflightMax, lineClaim, need))
	}
	for _, origin := range c.AllowedOrigins {
		if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil {
			errs = append(errs, fmt.Errorf("allowed_origins: %w; an origin is written https://logs.example.com", err))
		}
	}
	return errors.Join(errs...)
}

// exposed says that others than this machine can connect.
func exposed(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return true
	}
	ip := net.ParseIP(host)
	return host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// Authenticated says that senders, and browsers, must show credentials.
func (c *Config) Authenticated() bool { return c.BasicAuthFile != "" || c.BearerTokenFile != "" }

// PushURL is Loki's address as it may be shown.
func (c *Config) PushURL() string { return loki.MaskURL(c.Pipeline.Loki.URL) }

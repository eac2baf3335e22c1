package conf

import "strings"

func serveRows() []Row {
	const g = groupServe
	return []Row{
		{Name: "listen", Kind: Listen, Default: "127.0.0.1:3101", Scopes: Serve, Group: g,
			Help: "Address for Loki's push API (`POST /loki/api/v1/push`), OTLP logs (`POST /otlp/v1/logs`) and NDJSON (`POST /ingest`). A port alone is on `127.0.0.1`; give a host, `0.0.0.0:3101`, to be reached from elsewhere, and then `basic_auth_file` or `auth_token_file`.",
			set:  func(s *Settings, v Value) { s.Serve.Listen = v.Text }},
		{Name: "listen_tcp", Kind: Listen, Scopes: Serve | Pipe, Group: g,
			Help: "Address that takes NDJSON over plain TCP, one record a line. It knows no credentials. Default: none.",
			set:  func(s *Settings, v Value) { s.Serve.ListenTCP = v.Text }},
		{Name: "listen_unix", Kind: Text, Scopes: Serve | Pipe, Group: g,
			Help: "Path of a Unix socket that takes NDJSON, one record a line; only this user may write to it. Default: none.",
			set:  func(s *Settings, v Value) { s.Serve.ListenUnix = v.Text }},
		{Name: "tls_cert_file", Kind: Text, Scopes: Serve, Group: g,
			Help: "PEM file of the certificate that senders see; it is read again when it changes. Default: no TLS.",
			set:  func(s *Settings, v Value) { s.Serve.TLSCertFile = v.Text }},
		{Name: "tls_key_file", Kind: Text, Scopes: Serve, Group: g,
			Help: "PEM file of that certificate's key.",
			set:  func(s *Settings, v Value) { s.Serve.TLSKeyFile = v.Text }},
		{Name: "basic_auth_file", Kind: Text, Scopes: Serve, Group: g,
			Help: "File of `user:password` lines; senders need one of them. It is read again when it changes. Without it and `auth_token_file` senders' own credentials go to Loki, unless there are some for Loki here.",
			set:  func(s *Settings, v Value) { s.Serve.BasicAuthFile = v.Text }},
		{Name: "auth_token_file", Kind: Text, Scopes: Serve, Group: g,
			Help: "File of tokens, one a line, that senders show as `Authorization: Bearer`. Either file suffices where both are given.",
			set:  func(s *Settings, v Value) { s.Serve.AuthTokenFile = v.Text }},
		{Name: "allowed_origins", Kind: Text, Scopes: Serve, Group: g,
			Help: "Web origins whose pages may send requests, besides the address itself: `https://logs.example.com`, separated by commas.",
			set: func(s *Settings, v Value) {
				for origin := range strings.SplitSeq(v.Text, ",") {
					s.Serve.AllowedOrigins = append(s.Serve.AllowedOrigins, strings.TrimSpace(origin))
				}
			}},
		{Name: "max_body_size", Kind: Size, Default: "8MiB", Min: "1KiB", Max: "1GiB", Scopes: Serve, Group: g,
			Help: "Largest body of a request, as it comes; larger ones are answered with 413.",
			set:  func(s *Settings, v Value) { s.Serve.BodyBytesMax = v.Int }},
		{Name: "max_decoded_size", Kind: Size, Default: "32MiB", Min: "1KiB", Max: "4GiB", Scopes: Serve, Group: g,
			Help: "Largest body of a request once decompressed.",
			set:  func(s *Settings, v Value) { s.Serve.DecodedBytesMax = v.Int }},
		{Name: "max_inflight", Kind: Size, Default: "64MiB", Min: "2KiB", Max: "64GiB", Scopes: Serve, Group: g,
			Help: "Memory for the bodies of all requests at once. Requests that find none for 5 s are answered with 503 and `Retry-After`.",
			set:  func(s *Settings, v Value) { s.Serve.InflightMax = v.Int }},
		{Name: "max_line", Kind: Size, Default: "1MiB", Min: "1KiB", Max: "64MiB", Scopes: Serve | Pipe, Group: g,
			Help: "Longest line on `listen_tcp`, `listen_unix` and standard input. Serve cuts a longer one in pieces; pipe lets it through unscored.",
			set:  func(s *Settings, v Value) { s.Serve.LineBytesMax = v.Int }},
		{Name: "max_connections", Kind: Int, Default: "4096", Min: "1", Max: "1000000", Scopes: Serve | Pipe, Group: g,
			Help: "Connections at once, some 20 KB each; further ones are closed at once.",
			set:  func(s *Settings, v Value) { s.Serve.ConnectionsMax = int(v.Int) }},
		{Name: "header_timeout", Kind: Duration, Default: "10s", Min: "100ms", Max: "10m", Scopes: Serve, Group: g,
			Help: "How long the header of a request may take to come; then the connection is closed.",
			set:  func(s *Settings, v Value) { s.Serve.HeaderTimeout = v.Duration() }},
		{Name: "body_timeout", Kind: Duration, Default: "30s", Min: "100ms", Max: "10m", Scopes: Serve, Group: g,
			Help: "How long the body of a request may take to come.",
			set:  func(s *Settings, v Value) { s.Serve.BodyTimeout = v.Duration() }},
		{Name: "idle_timeout", Kind: Duration, Default: "2m", Min: "1s", Max: "1d", Scopes: Serve, Group: g,
			Help: "How long a connection may wait for its next request.",
			set:  func(s *Settings, v Value) { s.Serve.IdleTimeout = v.Duration() }},
	}
}

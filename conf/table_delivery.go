package conf

import (
	"strconv"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
)

func deliveryRows() []Row {
	const g = groupDelivery
	return []Row{
		{Name: optionURL, Kind: Text, Required: true, SecretParts: true, Sample: "http://loki:3100", Scopes: Plugin | Serve, Group: g,
			Help: "Loki's address, with or without the path of its push API: `http://loki:3100`, `https://logs.example.com/loki/api/v1/push`.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.URL = v.Text }},
		{Name: "tenant_id", Kind: Text, Scopes: Plugin | Serve, Group: g,
			Help: "Tenant, sent as `X-Scope-OrgID`. Default: none, for a Loki with `auth_enabled: false`.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.TenantID = v.Text }},
		{Name: "tenant_id_key", Kind: Key, Scopes: Plugin, Group: g,
			Help: "Key of the record that holds its tenant; a record without it goes to `tenant_id`.",
			set:  func(s *Settings, v Value) { s.Pipeline.Shape.TenantID = onlyPath(v.Paths) }},
		{Name: "header", Kind: Headers, SecretParts: true, Scopes: Plugin | Serve, Group: g,
			Help: "HTTP headers to send: `Name: value` or `Name value`, one a line. Fluent Bit hands over only the first `header` of a section; several go on lines of one value, or in `config_file`.",
			set:  setHeaders},
		{Name: "proxy_url", Kind: Text, SecretParts: true, Scopes: Plugin | Serve, Group: g,
			Help: "HTTP, HTTPS or SOCKS5 proxy. Default: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` of the environment.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.ProxyURL = v.Text }},
		{Name: "timeout", Kind: Duration, Default: "4s", Min: "100ms", Max: "10m", Scopes: Plugin, Group: g,
			Help: "Deadline of one flush, with all its attempts. What Loki has not accepted by then, Fluent Bit brings again. Keep it under Fluent Bit's `grace` (5 s).",
			set:  func(s *Settings, v Value) { s.Pipeline.FlushTimeout = v.Duration() }},
		{Name: "timeout", Kind: Duration, Default: "30s", Min: "100ms", Max: "10m", Scopes: Serve, Group: g,
			Help: "How long Loki may take to answer a push. Then its sender gets a 504, and sends it again. Keep it under the timeout of the senders.",
			set:  func(s *Settings, v Value) { s.Pipeline.FlushTimeout = v.Duration() }},
		{Name: "batch_size", Kind: Size, Default: "1MiB", Min: "1KiB", Max: "64MiB", Scopes: Plugin, Group: g,
			Help: "Size of one push to Loki before compression.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.BatchSize = int(v.Int) }},
		{Name: "min_backoff", Kind: Duration, Default: "100ms", Min: "1ms", Max: "1m", Scopes: Plugin, Group: g,
			Help: "First wait between two attempts of a flush; it doubles each time.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.Backoff.MinBackoff = v.Duration() }},
		{Name: "max_backoff", Kind: Duration, Default: "2s", Min: "1ms", Max: "10m", Scopes: Plugin, Group: g,
			Help: "Longest wait between two attempts of a flush.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.Backoff.MaxBackoff = v.Duration() }},
		{Name: "max_retries", Kind: Int, Default: "5", Min: "0", Max: "1000", Scopes: Plugin, Group: g,
			Help: "Attempts after the first one in a flush; 0: until `timeout`. Nothing is dropped when they are used up: Fluent Bit's `retry_limit` decides.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.Backoff.MaxRetries = int(v.Int) }},
		{Name: "max_line_size", Kind: Size, Default: "256KiB", Min: "0", Max: "64MiB", Scopes: Plugin, Group: g,
			Help: "Longest line, Loki's own `max_line_size`; 0: no limit. What happens to longer ones, `max_line_action` says.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.MaxLineSize = int(v.Int) }},
		{Name: "max_line_action", Kind: Choice, Default: loki.LineTruncate, Choices: []string{loki.LineTruncate, loki.LineDrop}, Scopes: Plugin, Group: g,
			Help: "Lines longer than `max_line_size` are cut (`truncate`) or left out and counted (`drop`).",
			set: func(s *Settings, v Value) {
				s.Pipeline.Loki.MaxLineAction = [...]string{loki.LineTruncate, loki.LineDrop}[v.Int]
			}},
		{Name: "out_of_order_window", Kind: Duration, Default: "1h", Min: "0s", Max: "365d", Scopes: Plugin, Group: g,
			Help: "Entries older than this behind the newest of their stream are pushed on their own, as Loki may refuse them; 0: never. Half of Loki's `max_chunk_age`.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.OutOfOrderWindow = v.Duration() }},
		{Name: "keep_repeats", Kind: Bool, Default: "on", Scopes: Plugin, Group: g,
			Help: "Of several entries of a stream with the same time and line, Loki stores one. `on` moves each further one of a chunk by a nanosecond, so that all are kept; `off` sends them as they are.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.KeepRepeats = v.Bool }},
		{Name: "max_labels", Kind: Int, Default: "15", Min: "6", Max: "1000", Scopes: Plugin | Serve, Group: g,
			Help: "Labels of one stream, Loki's own `max_label_names_per_series`. Those given first are kept.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.MaxLabels = int(v.Int) }},
	}
}

func setHeaders(s *Settings, v Value) {
	if len(v.Headers) == 0 {
		s.Pipeline.Loki.Headers = nil
		return
	}
	s.Pipeline.Loki.Headers = make(map[string]string, len(v.Headers))
	for _, header := range v.Headers {
		s.Pipeline.Loki.Headers[header.Name] = header.Value
	}
}

func authRows() []Row {
	const g = groupAuth
	return []Row{
		{Name: "http_user", Kind: Text, Scopes: Plugin | Serve, Group: g,
			Help: "User of HTTP basic authentication.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.HTTPUser = v.Text }},
		{Name: "http_passwd", Kind: Text, Secret: true, Scopes: Plugin | Serve, Group: g,
			Help: "Password of HTTP basic authentication.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.HTTPPasswd = v.Text }},
		{Name: "bearer_token", Kind: Text, Secret: true, Scopes: Plugin | Serve, Group: g,
			Help: "Token sent as `Authorization: Bearer`.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.BearerToken = v.Text }},
		{Name: "bearer_token_file", Kind: Text, Scopes: Plugin | Serve, Group: g,
			Help: "File that holds the token; it is read again when it changes.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.BearerTokenFile = v.Text }},
		{Name: "ca_file", Kind: Text, Scopes: Plugin | Serve, Group: g,
			Help: "PEM file of the authorities that may have signed Loki's certificate. Default: the system's.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.CAFile = v.Text }},
		{Name: "cert_file", Kind: Text, Scopes: Plugin | Serve, Group: g,
			Help: "PEM file of the client certificate.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.CertFile = v.Text }},
		{Name: "key_file", Kind: Text, Scopes: Plugin | Serve, Group: g,
			Help: "PEM file of the client certificate's key.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.KeyFile = v.Text }},
		{Name: "insecure_skip_verify", Kind: Bool, Default: "off", Scopes: Plugin | Serve, Group: g,
			Help: "Accepts any certificate from Loki: whoever stands in between can read and change the logs.",
			set:  func(s *Settings, v Value) { s.Pipeline.Loki.InsecureSkipVerify = v.Bool }},
	}
}

// The engine knows its own defaults best; a user's spelling of them stands in the rows.

func thresholdDefault() string {
	return strconv.FormatFloat(engine.DefaultConfig().Threshold, 'g', -1, 64)
}

func warmupDefault() string { return strconv.Itoa(engine.DefaultConfig().Warmup) }

func templatesDefault() string { return strconv.Itoa(engine.DefaultConfig().TemplatesMax) }

package loki

import (
	"strings"
	"testing"
	"time"
)

func TestMaskURL(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"http://loki:3100", "http://loki:3100"},
		{"http://u:p@loki/x", "http://********@loki/x"},
		{"u:p@loki", "********@loki"},
		{"http://u:p@x@loki", "http://********@loki"},
		{"http://loki/?a=b&c=d", "http://loki/?a=********&c=********"},
		{"http://loki/#secret", "http://loki/"},
	} {
		if got := MaskURL(test.text); got != test.want {
			t.Errorf("%s: got %s; want %s", test.text, got, test.want)
		}
	}
}

// TestFaultsShowNoSecret gives each fault that a URL can have, with a secret wherever one may stand.
func TestFaultsShowNoSecret(t *testing.T) {
	const secret = "hunter2"
	for _, format := range []string{
		"http://user:%sx/y@loki:3100", "http://user:%s#z@host:3100", "http://user:%s@ %%", "http://%s:x@ho st", "ftp://user:%s@loki",
		"ftp://loki/?token=%s", "http://?token=%s", "http://user:%s@", "http://user:x@loki/#%s", "http://u:%s@[::1",
		"http://u:\x7f%s@loki",
	} {
		text := strings.Replace(format, "%s", secret, 1)
		text = strings.ReplaceAll(text, "%%", "%")
		cfg := DefaultConfig()
		cfg.URL, cfg.ProxyURL = text, text
		err := cfg.Validate()
		if err == nil {
			t.Errorf("%q: got no error", text)
			continue
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q: got %v; want no %s in it", text, err, secret)
		}
	}
}

func TestPushURL(t *testing.T) {
	for in, want := range map[string]string{
		"http://loki:3100":                         "http://loki:3100/loki/api/v1/push",
		"http://loki:3100/":                        "http://loki:3100/loki/api/v1/push",
		" https://loki ":                           "https://loki/loki/api/v1/push",
		"https://u:p@loki/loki/api/v1/push":        "https://u:p@loki/loki/api/v1/push",
		"https://loki/loki/api/v1/push/":           "https://loki/loki/api/v1/push",
		"http://[::1]:3100":                        "http://[::1]:3100/loki/api/v1/push",
		"https://gw/logs":                          "https://gw/logs/loki/api/v1/push",
		"http://vl/insert/loki/api/v1/push?_msg=x": "http://vl/insert/loki/api/v1/push?_msg=x",
		"http://old/api/prom/push":                 "http://old/api/prom/push",
	} {
		u, err := pushURL(in)
		if err != nil {
			t.Errorf("pushURL(%q): %v", in, err)
		} else if got := u.String(); got != want {
			t.Errorf("pushURL(%q): got %q; want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"":                    "missing",
		"loki:3100":           "http://",
		"ftp://loki":          "http://",
		"http://":             "no host",
		"http:///push":        "no host",
		"http://loki/#x":      "fragment",
		"http://u:hunter2@ %": "cannot be parsed",
		"unix:///run/loki":    "http://",
	} {
		_, err := pushURL(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("pushURL(%q): got %v; want %q in it", in, err, want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("pushURL(%q): the password is in %q", in, err)
		}
	}
}

func TestValidate(t *testing.T) {
	good := DefaultConfig()
	good.URL = "http://loki:3100"
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"url":                                func(c *Config) { c.URL = "" },
		"tenant_id":                          func(c *Config) { c.TenantID = "a|b" },
		"http_passwd":                        func(c *Config) { c.HTTPPasswd = "x" },
		"choose one":                         func(c *Config) { c.HTTPUser, c.BearerToken = "u", "t" },
		"bearer_token and bearer_token_file": func(c *Config) { c.BearerToken, c.BearerTokenFile = "a", "b" },
		"line break":                         func(c *Config) { c.BearerToken = "a\nb" },
		"cert_file":                          func(c *Config) { c.CertFile = "x" },
		"key_file":                           func(c *Config) { c.KeyFile = "x" },
		"proxy_url":                          func(c *Config) { c.ProxyURL = "://" },
		`header "a b"`:                       func(c *Config) { c.Headers = map[string]string{"a b": "x"} },
		`header "x"`:                         func(c *Config) { c.Headers = map[string]string{"x": "a\r\nb"} },
		`header "Host"`:                      func(c *Config) { c.Headers = map[string]string{"Host": "x"} },
		"user_agent":                         func(c *Config) { c.UserAgent = "a\n" },
		"timeout":                            func(c *Config) { c.Timeout = 0 },
		"backoff_min":                        func(c *Config) { c.Backoff.MinBackoff = time.Hour },
		"backoff_retries":                    func(c *Config) { c.Backoff.MaxRetries = -1 },
		"batch_size":                         func(c *Config) { c.BatchSize = 10 },
		"max_line_size":                      func(c *Config) { c.MaxLineSize = 10 },
		"max_line_action":                    func(c *Config) { c.MaxLineAction = "burn" },
		"out_of_order_window":                func(c *Config) { c.OutOfOrderWindow = -1 },
		"max_streams":                        func(c *Config) { c.MaxStreams = 0 },
		"max_labels":                         func(c *Config) { c.MaxLabels = 0 },
		"max_label_name_size":                func(c *Config) { c.MaxLabelNameSize = 0 },
		"max_label_value_size":               func(c *Config) { c.MaxLabelValueSize = 3 },
		"fallback label":                     func(c *Config) { c.FallbackLabel = Label{"a-b", "c"} },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %q in it", err, want)
		}
	}
}

func TestValidateReportsEveryFault(t *testing.T) {
	var c Config
	err := c.Validate()
	for _, want := range []string{"url", "timeout", "backoff_min", "batch_size", "max_line_action", "max_streams", "max_labels"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
}

func TestMendTenant(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"team-a_1.(x)!*'":        "team-a_1.(x)!*'",
		"a b\r\nX-Evil: 1":       "a_b__X-Evil__1",
		"a|b":                    "a_b",
		".":                      "_",
		"..":                     "_",
		strings.Repeat("x", 200): strings.Repeat("x", 150),
	} {
		if got := mendTenant(in); got != want {
			t.Errorf("mendTenant(%q): got %q; want %q", in, got, want)
		}
	}
}

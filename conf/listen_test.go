package conf

import (
	"strings"
	"testing"
)

func TestListen(t *testing.T) {
	for in, want := range map[string]string{
		"2021":           "127.0.0.1:2021",
		":2021":          "127.0.0.1:2021",
		"0.0.0.0:2021":   "0.0.0.0:2021",
		"[::1]:2021":     "[::1]:2021",
		"[::]:2021":      "[::]:2021",
		"node-7:02021":   "node-7:2021",
		"localhost:2021": "localhost:2021",
	} {
		if s := mustLoad(t, Plugin, options("url", "http://loki", "metrics_listen", in)); s.Metrics.Listen != want {
			t.Errorf("%q: got %q; want %q", in, s.Metrics.Listen, want)
		}
	}
	for _, in := range []string{"127.0.0.1", "::1", "0", "65536", ":", "http://0.0.0.0:2021", "-1", "a b:1", "user@host:1", "2021/metrics"} {
		_, err := Load(Plugin, options("url", "http://loki", "metrics_listen", in))
		if err == nil || !strings.Contains(err.Error(), "option metrics_listen") || !strings.Contains(err.Error(), "0.0.0.0:2021") {
			t.Errorf("%q: got %v; want an error that names the option and what is allowed", in, err)
		}
	}
	if s := mustLoad(t, Plugin, options("url", "http://loki")); s.Metrics.Listen != "" || s.Metrics.Pprof {
		t.Errorf("got %+v; want no listener unless asked for", s.Metrics)
	}
}

func TestProfilesNeedAnAddress(t *testing.T) {
	_, err := Load(Plugin, options("url", "http://loki", "metrics_pprof", "on"))
	if err == nil || !strings.Contains(err.Error(), "metrics_listen") {
		t.Errorf("got %v; want an error about metrics_listen", err)
	}
}

package conf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestView(t *testing.T) {
	if s := mustLoad(t, Plugin, options("url", "http://loki")); s.View.Listen != "" || s.View.Origins != nil {
		t.Errorf("got %+v; want no live view unless asked for", s.View)
	}
	s := mustLoad(t, Plugin, options("url", "http://loki", "view_listen", "2022", "view_origins", "https://logs.example.com, http://node-7:2022,"))
	if want := (ViewSettings{"127.0.0.1:2022", []string{"https://logs.example.com", "http://node-7:2022"}}); !cmp.Equal(want, s.View) {
		t.Errorf("got %+v; want %+v", s.View, want)
	}
	for _, test := range []struct {
		options []string
		want    string
	}{
		{[]string{"view_origins", "https://a"}, "view_listen 2022"},
		{[]string{"view_listen", "2022", "metrics_listen", "2022"}, "address of its own"},
		{[]string{"view_listen", "2022", "view_origins", "https://a/"}, "option view_origins \"https://a/\""},
		{[]string{"view_listen", "2022", "view_origins", "logs.example.com"}, "such as https://logs.example.com"},
		{[]string{"view_listen", "2022", "view_origins", "*"}, "option view_origins"},
		{[]string{"view_listen", "2022", "view_origins", "https://*.example.com"}, "option view_origins"},
		{[]string{"view_listen", "2022", "view_origins", "https://u:p@example.com"}, "option view_origins"},
		{[]string{"view_listen", "2022", "view_origins", "ftp://example.com"}, "option view_origins"},
	} {
		_, err := Load(Plugin, options(append([]string{"url", "http://loki"}, test.options...)...))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %v; want an error with %q", test.options, err, test.want)
		}
	}
}

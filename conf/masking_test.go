package conf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMasking(t *testing.T) {
	ini := writeFile(t, "drain3.ini", "[MASKING]\nmasking = [{\"regex_pattern\": \"(?<=id=)\\\\w+\", \"mask_with\": \"ID\"}]\n[DRAIN]\nmax_clusters = 777\nextra_delimiters = [\":\"]\nsim_th = 0.4\n")
	own := writeFile(t, "masks.yaml", "- regex_pattern: 'user-\\w+'\n  mask_with: USER\n")
	s := mustLoad(t, Scan, options("mask_file", own, "drain3ini", ini))
	var got []string
	for _, mask := range s.Pipeline.Engine.Masks {
		got = append(got, mask.Name())
	}
	if diff := cmp.Diff([]string{"USER", "ID"}, got); diff != "" {
		t.Errorf("masks (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{":"}, s.Pipeline.Engine.Delimiters); diff != "" {
		t.Errorf("delimiters (-want +got):\n%s", diff)
	}
	if got := s.Pipeline.Engine.TemplatesMax; got != 777 {
		t.Errorf("got max_templates %d; want 777 as max_clusters says", got)
	}
	if dump := strings.Join(s.Dump(), "\n"); !strings.Contains(dump, `max_templates="777" ([DRAIN] max_clusters in `) {
		t.Errorf("got %s; want the origin of max_templates", dump)
	}
	if len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "[DRAIN] sim_th: not used") {
		t.Errorf("got warnings %q; want one about sim_th", s.Warnings)
	}
	if got := mustLoad(t, Scan, options("drain3_ini", ini, "max_templates", "99")).Pipeline.Engine.TemplatesMax; got != 99 {
		t.Errorf("got max_templates %d; want 99: the option goes before the file", got)
	}
}

// TestMaskingFaults: each fault is one of its own, and names option, file and place.
func TestMaskingFaults(t *testing.T) {
	ini := writeFile(t, "drain3.ini", "[MASKING]\nmasking = [{\"regex_pattern\": \"(\", \"mask_with\": \"A\"}, {\"regex_pattern\": \")\", \"mask_with\": \"B\"}]\n[DRAIN]\nmax_clusters = 5\n")
	small := writeFile(t, "small.ini", "[DRAIN]\nmax_clusters = 5\n")
	for _, c := range []struct {
		given []string
		want  []string
	}{
		{[]string{"mask_file", "/no/such/file"}, []string{`option mask_file "/no/such/file": open /no/such/file: no such file or directory`}},
		{[]string{"drain3_ini", ini}, []string{
			`option drain3_ini "` + ini + `": [MASKING] masking: mask 1 of 2 (mask_with A), regex_pattern "(": `,
			`option drain3_ini "` + ini + `": [MASKING] masking: mask 2 of 2 (mask_with B), regex_pattern ")": `}},
		{[]string{"drain3_ini", small}, []string{`option max_templates "5" ([DRAIN] max_clusters in ` + small + `): too small; allowed: `}},
	} {
		_, err := Load(Scan, options(c.given...))
		if err == nil {
			t.Errorf("%v: got no error", c.given)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: got\n%v\nwant %s", c.given, err, want)
			}
		}
	}
}

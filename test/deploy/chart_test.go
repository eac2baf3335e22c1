//go:build chart

package deploy

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestChart renders the official chart with the project's values, and checks what it makes as TestKubernetes checks the
// overlays. The chart is not the project's to keep: CHART=DIR go test -tags chart -run Chart ./... with the
// directory that "helm pull fluent/fluent-bit --version 0.58.1 --untar" makes.
func TestChart(t *testing.T) {
	dir := os.Getenv("CHART")
	if dir == "" {
		t.Skip("CHART names no directory with the chart fluent/fluent-bit")
	}
	chart, err := loader.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if text := read(t, "conf/kubernetes/helm/values.yaml"); !strings.Contains(text, "--version "+chart.Metadata.Version) {
		t.Errorf("got the chart %s; want the version that values.yaml names", chart.Metadata.Version)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict([]byte(read(t, "conf/kubernetes/helm/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	unknown(t, "", values, chart.Values)
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = chartutil.KubeVersion{Version: "v1.34.0", Major: "1", Minor: "34"}
	all, err := chartutil.ToRenderValues(chart, values, chartutil.ReleaseOptions{Name: "logscope", Namespace: "logscope", IsInstall: true}, capabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for name, file := range files {
		if strings.HasSuffix(name, ".yaml") && strings.TrimSpace(file) != "" {
			text.WriteString("\n---\n" + strings.TrimPrefix(strings.TrimSpace(file), "---"))
		}
	}
	text.WriteString("\n---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: logscope\n")
	checkChart(t, decode(t, []byte(text.String())))
}

// unknown finds values that the chart does not have: Helm itself takes any.
func unknown(t *testing.T, path string, ours, chart map[string]any) {
	t.Helper()
	for key, value := range ours {
		known, ok := chart[key]
		if !ok {
			t.Errorf("the chart has no value %s%s", path, key)
		}
		of, isMap := value.(map[string]any)
		if theirs, ok := known.(map[string]any); ok && isMap && len(theirs) > 0 && key != "httpGet" {
			switch path + key {
			case "config.extraFiles", "livenessProbe", "readinessProbe":
			default:
				unknown(t, path+key+".", of, theirs)
			}
		}
	}
}

func checkChart(t *testing.T, c *cluster) {
	t.Helper()
	workloads := c.workloads()
	if len(workloads) != 1 {
		t.Fatalf("got %d workloads; want the DaemonSet", len(workloads))
	}
	w := &workloads[0]
	w.pod.Spec.PriorityClassName = "" // a class that every cluster has
	checkWorkload(t, c, w)
	args := w.pod.Spec.Containers[0].Args
	if !cmp.Equal(args[:2], []string{"-e", "/usr/local/lib/out_logscope.so"}) {
		t.Errorf("got the arguments %v; want the plugin loaded", args)
	}
	for _, o := range all[*core.ConfigMap](c) {
		if conf, ok := o.Data["fluent-bit.conf"]; ok {
			checkConf(t, "chart", withOptions(t, conf, o.Data["logscope.yaml"]))
			base := sections(t, read(t, "conf/kubernetes/base/fluent-bit.conf"))
			got := sections(t, strings.ReplaceAll(conf, "/fluent-bit/etc/conf/", "/etc/logscope/"))
			if diff := cmp.Diff(base, got, cmp.AllowUnexported(section{})); diff != "" {
				t.Errorf("the chart makes another fluent-bit.conf than base (-want +got):\n%s", diff)
			}
			return
		}
	}
	t.Error("the chart makes no fluent-bit.conf")
}

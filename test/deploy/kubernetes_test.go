package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	scheduling "k8s.io/api/scheduling/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	security "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// types of objects by apiVersion and kind. Each is decoded strictly: an unknown field is an error.
func newObject(apiVersion, kind string) meta.Object {
	switch apiVersion + " " + kind {
	case "v1 Namespace":
		return &core.Namespace{}
	case "v1 ServiceAccount":
		return &core.ServiceAccount{}
	case "v1 ConfigMap":
		return &core.ConfigMap{}
	case "v1 Service":
		return &core.Service{}
	case "apps/v1 DaemonSet":
		return &apps.DaemonSet{}
	case "apps/v1 StatefulSet":
		return &apps.StatefulSet{}
	case "apps/v1 Deployment":
		return &apps.Deployment{}
	case "rbac.authorization.k8s.io/v1 ClusterRole":
		return &rbac.ClusterRole{}
	case "rbac.authorization.k8s.io/v1 ClusterRoleBinding":
		return &rbac.ClusterRoleBinding{}
	case "scheduling.k8s.io/v1 PriorityClass":
		return &scheduling.PriorityClass{}
	case "networking.k8s.io/v1 NetworkPolicy":
		return &networking.NetworkPolicy{}
	case "policy/v1 PodDisruptionBudget":
		return &policy.PodDisruptionBudget{}
	case "monitoring.coreos.com/v1 PodMonitor":
		return &monitoring.PodMonitor{}
	}
	return nil
}

// cluster is what an overlay makes.
type cluster struct {
	objects []meta.Object
}

// decode decodes a stream of YAML documents strictly.
func decode(t testing.TB, text []byte) *cluster {
	t.Helper()
	c := &cluster{}
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		var head meta.TypeMeta
		if err := yaml.Unmarshal(document, &head); err != nil {
			t.Fatalf("%v:\n%s", err, document)
		}
		object := newObject(head.APIVersion, head.Kind)
		if object == nil {
			t.Fatalf("got a %s of %s; want a kind that this test knows:\n%s", head.Kind, head.APIVersion, document)
		}
		text, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			t.Fatalf("%v:\n%s", err, document)
		}
		// As the API server does: also the case of a field counts.
		unknown, err := json.UnmarshalStrict(text, object)
		if err := errors.Join(append(unknown, err)...); err != nil {
			t.Errorf("%s %s: %v", head.Kind, object.GetName(), err)
		}
		c.objects = append(c.objects, object)
	}
	return c
}

// kustomize builds a directory of conf/kubernetes.
func kustomize(t testing.TB, dir string) *cluster {
	t.Helper()
	options := krusty.MakeDefaultOptions()
	options.LoadRestrictions = types.LoadRestrictionsRootOnly
	made, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), filepath.Join(root, "conf/kubernetes", dir))
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

// all returns the objects of one type.
func all[T meta.Object](c *cluster) []T {
	var found []T
	for _, object := range c.objects {
		if o, ok := object.(T); ok {
			found = append(found, o)
		}
	}
	return found
}

// workload is what makes pods.
type workload struct {
	name, namespace string
	selector        *meta.LabelSelector
	pod             core.PodTemplateSpec
	claims          []core.PersistentVolumeClaim
}

func (c *cluster) workloads() []workload {
	var found []workload
	for _, o := range all[*apps.DaemonSet](c) {
		found = append(found, workload{o.Name, o.Namespace, o.Spec.Selector, o.Spec.Template, nil})
	}
	for _, o := range all[*apps.StatefulSet](c) {
		found = append(found, workload{o.Name, o.Namespace, o.Spec.Selector, o.Spec.Template, o.Spec.VolumeClaimTemplates})
	}
	for _, o := range all[*apps.Deployment](c) {
		found = append(found, workload{o.Name, o.Namespace, o.Spec.Selector, o.Spec.Template, nil})
	}
	return found
}

// kubernetesConfig returns fluent-bit.conf and logscope.yaml of the ConfigMap with a name, as an overlay makes it.
func kubernetesConfig(t testing.TB, dir, name string) (conf, options string) {
	t.Helper()
	for _, o := range all[*core.ConfigMap](kustomize(t, dir)) {
		if strings.HasPrefix(o.Name, name) {
			return o.Data["fluent-bit.conf"], o.Data["logscope.yaml"]
		}
	}
	t.Fatalf("%s makes no ConfigMap %s", dir, name)
	return "", ""
}

// TestKubernetes builds every overlay, and checks that what its objects name is there.
func TestKubernetes(t *testing.T) {
	for _, dir := range overlays(t) {
		t.Run(dir, func(t *testing.T) {
			c := kustomize(t, dir)
			for _, w := range c.workloads() {
				checkWorkload(t, c, &w)
			}
			for _, o := range all[*core.Service](c) {
				if !c.selects(o.Namespace, labels.SelectorFromSet(o.Spec.Selector)) {
					t.Errorf("Service %s selects no pod", o.Name)
				}
			}
			for _, o := range all[*networking.NetworkPolicy](c) {
				checkPolicy(t, c, o)
			}
			for _, o := range all[*rbac.ClusterRole](c) {
				want := []rbac.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}}
				if diff := cmp.Diff(want, o.Rules); diff != "" {
					t.Errorf("ClusterRole %s: other rights than the kubernetes filter needs (-want +got):\n%s", o.Name, diff)
				}
			}
			for _, o := range all[*core.ConfigMap](c) {
				if conf := o.Data["fluent-bit.conf"]; conf != "" {
					checkConf(t, dir+" "+o.Name, withOptions(t, conf, o.Data["logscope.yaml"]))
				}
			}
		})
	}
}

func overlays(t testing.TB) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "conf/kubernetes/overlays/*"))
	if err != nil || len(found) < 3 {
		t.Fatalf("got %d overlays, %v; want all", len(found), err)
	}
	dirs := []string{"base"}
	for _, path := range found {
		dirs = append(dirs, "overlays/"+filepath.Base(path))
	}
	return dirs
}

// withOptions puts config_file where the test can read it.
func withOptions(t testing.TB, conf, options string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "logscope.yaml")
	secrets := filepath.Join(filepath.Dir(path), "secrets")
	write(t, path, strings.ReplaceAll(options, "/etc/logscope-loki", secrets))
	write(t, filepath.Join(secrets, "token"), "secret")
	write(t, filepath.Join(secrets, "ca.crt"), certificate(t))
	return strings.NewReplacer("/etc/logscope/logscope.yaml", path, "/fluent-bit/etc/conf/logscope.yaml", path).Replace(conf)
}

// selects says that a selector finds a pod of a namespace.
func (c *cluster) selects(namespace string, selector labels.Selector) bool {
	return slices.ContainsFunc(c.workloads(), func(w workload) bool {
		return w.namespace == namespace && selector.Matches(labels.Set(w.pod.Labels))
	})
}

func checkWorkload(t *testing.T, c *cluster, w *workload) {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(w.selector)
	if err != nil || !selector.Matches(labels.Set(w.pod.Labels)) {
		t.Errorf("%s: the selector does not match its own pods: %v", w.name, err)
	}
	spec := &w.pod.Spec
	names := map[string]bool{}
	for _, o := range c.objects {
		names[fmt.Sprintf("%T %s/%s", o, o.GetNamespace(), o.GetName())] = true
	}
	if !slices.ContainsFunc(all[*core.Namespace](c), func(o *core.Namespace) bool { return o.Name == w.namespace }) {
		t.Errorf("%s: no namespace %q", w.name, w.namespace)
	}
	if account := spec.ServiceAccountName; account != "" && !names["*v1.ServiceAccount "+w.namespace+"/"+account] {
		t.Errorf("%s: no ServiceAccount %s", w.name, account)
	}
	if class := spec.PriorityClassName; class != "" && !names["*v1.PriorityClass /"+class] {
		t.Errorf("%s: no PriorityClass %s", w.name, class)
	}
	volumes := map[string]bool{}
	for _, v := range spec.Volumes {
		volumes[v.Name] = true
		if v.ConfigMap != nil && !names["*v1.ConfigMap "+w.namespace+"/"+v.ConfigMap.Name] {
			t.Errorf("%s: no ConfigMap %s", w.name, v.ConfigMap.Name)
		}
	}
	for _, claim := range w.claims {
		volumes[claim.Name] = true
	}
	for i := range spec.Containers {
		checkContainer(t, w.name, &spec.Containers[i], volumes)
	}
	checkSecurity(t, w)
}

func checkContainer(t *testing.T, name string, c *core.Container, volumes map[string]bool) {
	t.Helper()
	if !pinned(c.Image) {
		t.Errorf("%s: got the image %s; want a version", name, c.Image)
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("%s: no limit of memory, or no requests", name)
	}
	if c.SecurityContext == nil || c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
		t.Errorf("%s: its root can be written to", name)
	}
	for _, m := range c.VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("%s: no volume %s", name, m.Name)
		}
	}
	ports := map[string]bool{}
	for _, p := range c.Ports {
		ports[p.Name] = true
	}
	for _, probe := range []*core.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if probe != nil && !ports[probe.HTTPGet.Port.StrVal] {
			t.Errorf("%s: a probe asks port %s, which there is not", name, probe.HTTPGet.Port.String())
		}
	}
	if limit := slices.IndexFunc(c.Env, func(e core.EnvVar) bool { return e.Name == "GOMEMLIMIT" }); limit >= 0 {
		var mib int64
		if _, err := fmt.Sscanf(c.Env[limit].Value, "%dMiB", &mib); err != nil || mib<<20*4 > c.Resources.Limits.Memory().Value()*3 {
			t.Errorf("%s: got GOMEMLIMIT %s; want a quarter of %s left for Fluent Bit", name, c.Env[limit].Value, c.Resources.Limits.Memory())
		}
	}
}

// checkSecurity holds pods against Pod Security "restricted". Those on the nodes have three exceptions, which
// base/namespace.yaml explains; all others have none.
func checkSecurity(t *testing.T, w *workload) {
	t.Helper()
	evaluator, err := security.NewEvaluator(security.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(level, &w.pod.ObjectMeta, &w.pod.Spec) {
		if !result.Allowed {
			got = append(got, result.ForbiddenReason)
		}
	}
	var want []string
	if w.name == "logscope-node" || w.name == "logscope" {
		want = []string{"restricted volume types", "runAsNonRoot != true", "runAsUser=0"}
	}
	if diff := cmp.Diff(want, got, sorted()); diff != "" {
		t.Errorf("%s: against Pod Security restricted (-want +got):\n%s", w.name, diff)
	}
}

// checkPolicy demands that a policy selects a pod, and that ports it names are the pod's.
func checkPolicy(t *testing.T, c *cluster, o *networking.NetworkPolicy) {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(&o.Spec.PodSelector)
	if err != nil || !c.selects(o.Namespace, selector) {
		t.Errorf("NetworkPolicy %s selects no pod: %v", o.Name, err)
	}
	ports := map[string]bool{}
	for _, w := range c.workloads() {
		for _, container := range w.pod.Spec.Containers {
			for _, p := range container.Ports {
				ports[p.Name] = true
			}
		}
	}
	for _, rule := range o.Spec.Ingress {
		for _, p := range rule.Ports {
			if p.Port.StrVal != "" && !ports[p.Port.StrVal] {
				t.Errorf("NetworkPolicy %s: no port %s", o.Name, p.Port.StrVal)
			}
		}
	}
	if len(o.Spec.PolicyTypes) != 2 {
		t.Errorf("NetworkPolicy %s: got %v; want both directions", o.Name, o.Spec.PolicyTypes)
	}
}

// TestNodeConfigsAgree: the same sections stand in the base, in the overlay aggregator and in the Helm values.
func TestNodeConfigsAgree(t *testing.T) {
	base := sections(t, read(t, "conf/kubernetes/base/fluent-bit.conf"))
	node := sections(t, read(t, "conf/kubernetes/overlays/aggregator/node.conf"))
	aggregator := sections(t, read(t, "conf/kubernetes/overlays/aggregator/aggregator.conf"))
	options := cmp.AllowUnexported(section{})
	if diff := cmp.Diff(base[1:4], node[1:4], options); diff != "" {
		t.Errorf("base, and node.conf of the aggregator overlay:\n%s", diff)
	}
	without := func(s section) map[string]string {
		pairs := map[string]string{}
		for _, pair := range s.pairs {
			pairs[pair[0]] = pair[1]
		}
		delete(pairs, "storage.total_limit_size")
		return pairs
	}
	if diff := cmp.Diff(without(base[4]), without(aggregator[2])); diff != "" {
		t.Errorf("the outputs of base and of aggregator.conf:\n%s", diff)
	}
	var values struct {
		Config map[string]any `json:"config"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "conf/kubernetes/helm/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, key := range []string{"service", "inputs", "filters", "outputs"} {
		text.WriteString(fmt.Sprint(values.Config[key]))
	}
	helm := sections(t, strings.ReplaceAll(text.String(), "/fluent-bit/etc/conf/", "/etc/logscope/"))
	if diff := cmp.Diff(base, helm, options); diff != "" {
		t.Errorf("base, and the Helm values:\n%s", diff)
	}
}

// chartKeys are the values of fluent/fluent-bit 0.58.1 that the project sets. "helm show values" prints them all;
// TestChart, which needs the chart, renders it.
var chartKeys = map[string][]string{
	"": {"kind", "fullnameOverride", "image", "testFramework", "args", "env", "extraPorts", "livenessProbe", "readinessProbe", "resources",
		"podSecurityContext", "securityContext", "priorityClassName", "terminationGracePeriodSeconds", "minReadySeconds", "updateStrategy",
		"nodeSelector", "tolerations", "serviceMonitor", "daemonSetVolumes", "daemonSetVolumeMounts", "config"},
	"image":          {"repository", "tag"},
	"testFramework":  {"enabled"},
	"serviceMonitor": {"enabled", "additionalEndpoints"},
	"config":         {"service", "inputs", "filters", "outputs", "customParsers", "extraFiles"},
}

func TestHelmValues(t *testing.T) {
	var values map[string]any
	if err := yaml.UnmarshalStrict([]byte(read(t, "conf/kubernetes/helm/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	for name, known := range chartKeys {
		of := values
		if name != "" {
			of, _ = values[name].(map[string]any)
		}
		for _, key := range slices.Sorted(maps.Keys(of)) {
			if !slices.Contains(known, key) {
				t.Errorf("the chart has no value %s.%s", name, key)
			}
		}
	}
}

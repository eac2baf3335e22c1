package pipeline

import (
	"strings"
	"sync"

	"github.com/logscope/logscope/loki"
)

// relaySet is what is known of one label set of one sender.
type relaySet struct {
	set   *labelSet
	model string
	shard int
	// opaque says that the labels could not be read: they are left as they are.
	opaque bool
}

// relaySets remembers label sets, 500 bytes each and more. Reached, all are
// forgotten and read anew as they come.
type relaySets struct {
	max int

	mu    sync.RWMutex
	known map[relaySetKey]*relaySet
	bytes int
}

type relaySetKey struct{ tenant, owner, labels string }

// get returns the set with these labels. labels may be a view: it is copied where it is kept. forgotten
// says how many others had to go.
func (s *relaySets) get(tenant, owner, labels string, modelKey Path) (set *relaySet, forgotten int) {
	key := relaySetKey{tenant, owner, labels}
	s.mu.RLock()
	set = s.known[key]
	s.mu.RUnlock()
	if set != nil {
		return set, 0
	}
	key.labels = strings.Clone(labels)
	set = newRelaySet(key, modelKey)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.known[key]; known != nil {
		return known, 0
	}
	if s.known == nil || len(s.known) >= s.max || s.bytes > cacheBytesMax {
		forgotten = len(s.known)
		s.known, s.bytes = map[relaySetKey]*relaySet{}, 0
	}
	s.known[key] = set
	s.bytes += labelSetBytes + 3*len(labels)
	return set, forgotten
}

func newRelaySet(key relaySetKey, modelKey Path) *relaySet {
	labels, ok := loki.ParseLabels(key.labels)
	s := &relaySet{set: &labelSet{tenant: key.tenant, owner: key.owner, base: labels, text: key.labels}, opaque: !ok}
	name := key.labels
	if ok {
		name = modelOf(labels, modelKey, key.labels)
	}
	s.model = ownedModel(key.tenant, key.owner, name)
	s.shard = shardOf(s.model)
	return s
}

// ownedModel keeps the models of tenants apart, and those of senders without a tenant.
func ownedModel(tenant, owner, name string) string {
	if tenant == "" {
		tenant = owner
	}
	if tenant == "" && !strings.HasPrefix(name, "[") {
		return name
	}
	return "[" + tenant + "] " + name
}

// Names that senders give to labels, the usual ones first.
var (
	namespaceNames = [...]string{"namespace", "k8s_namespace_name", "kubernetes_namespace_name", "namespace_name", "service_namespace"}
	containerNames = [...]string{"container", "k8s_container_name", "kubernetes_container_name", "container_name"}
	// serviceNames are those that Loki itself looks for to name the service of a stream (discover_service_name).
	serviceNames = [...]string{"service_name", "service", "app", "application", "app_name", "name", "app_kubernetes_io_name",
		"container", "container_name", "k8s_container_name", "component", "workload"}
	jobNames  = [...]string{"job", "k8s_job_name"}
	fileNames = [...]string{"filename", "file", "path", "unit", "tag"}
)

// modelOf names the model of a stream by what writes it, not by where that runs: the label that modelKey
// names, else Kubernetes namespace and container, else the service as Loki finds it, else the job with
// its file, else all labels.
func modelOf(labels []loki.Label, modelKey Path, all string) string {
	if len(modelKey) > 0 {
		if v := labelValue(labels, modelKey[len(modelKey)-1:]); v != "" {
			return cutModel(v)
		}
	}
	space, container := labelValue(labels, namespaceNames[:]), labelValue(labels, containerNames[:])
	service := labelValue(labels, serviceNames[:])
	switch {
	case space != "" && container != "":
		return cutModel(space + "/" + container)
	case space != "" && service != "":
		return cutModel(space + "/" + service)
	case service != "":
		return cutModel(service)
	}
	if job := labelValue(labels, jobNames[:]); job != "" {
		if file := labelValue(labels, fileNames[:]); file != "" {
			job += " " + file
		}
		return cutModel(job)
	}
	return cutModel(all)
}

// labelValue is the value of the first of names that labels have.
func labelValue(labels []loki.Label, names []string) string {
	for _, name := range names {
		for i := range labels {
			if labels[i].Name == name && labels[i].Value != "" {
				return labels[i].Value
			}
		}
	}
	return ""
}

// cutModel bounds the name of a model.
func cutModel(name string) string { return string(cutStreamKey([]byte(name))) }

// Package metrics shows plugin instances to Prometheus and to health checks:
// /metrics, /ready and /live on one listener for all instances that name it.
package metrics

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logscope/logscope/plugin/pipeline"
)

// Source is an instance to be shown. *pipeline.Pipeline is one.
type Source interface {
	Stats() pipeline.Stats
	Health() pipeline.Health
}

// collector asks its sources when it is scraped; nothing is counted twice, and
// a record costs no metric.
type collector struct {
	rows  []row
	descs []*prometheus.Desc
	build *prometheus.Desc
	own   [2]*prometheus.Desc
	// version is that of the plugin.
	version string

	mu      sync.Mutex
	sources map[string]Source // by instance
}

func newCollector(version string) *collector {
	c := &collector{rows: rows(), version: version, sources: map[string]Source{}}
	for i := range c.rows {
		labels := []string{"instance"}
		if c.rows[i].label != "" {
			labels = append(labels, c.rows[i].label)
		}
		c.descs = append(c.descs, prometheus.NewDesc(c.rows[i].name, c.rows[i].help, labels, nil))
	}
	c.build = prometheus.NewDesc(buildName, "1, with the version of logscope and of Go.", []string{"version", "goversion"}, nil)
	c.own = [2]*prometheus.Desc{
		prometheus.NewDesc(goroutinesName, "Goroutines of all instances in this process.", nil, nil),
		prometheus.NewDesc(heapName, "Heap of the Go part of this process, in use.", nil, nil),
	}
	return c
}

// Metrics of the process, not of an instance.
const (
	buildName      = "logscope_build_info"
	goroutinesName = "logscope_goroutines"
	heapName       = "logscope_heap_bytes"
)

// Names lists all metrics.
func Names() []string {
	names := []string{buildName, goroutinesName, heapName}
	for _, r := range rows() {
		names = append(names, r.name)
	}
	return names
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range c.descs {
		ch <- desc
	}
	ch <- c.build
	for _, desc := range c.own {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for name, source := range c.all() {
		s, err := observe(source)
		if err != nil {
			ch <- prometheus.NewInvalidMetric(c.build, err)
			continue
		}
		for i := range c.rows {
			c.rows[i].emit(ch, c.descs[i], name, &s)
		}
	}
	ch <- prometheus.MustNewConstMetric(c.build, prometheus.GaugeValue, 1, c.version, runtime.Version())
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	ch <- prometheus.MustNewConstMetric(c.own[0], prometheus.GaugeValue, float64(runtime.NumGoroutine()))
	ch <- prometheus.MustNewConstMetric(c.own[1], prometheus.GaugeValue, float64(mem.HeapInuse))
}

// observe asks a source. The registry collects on goroutines of its own, where a panic would end Fluent Bit.
func observe(source Source) (s sample, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a fault in logscope, please report it: %v", r)
		}
	}()
	return sample{Stats: source.Stats(), health: source.Health(), now: time.Now()}, nil
}

// all returns the sources, so that none is asked under the lock.
func (c *collector) all() map[string]Source {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]Source, len(c.sources))
	for name, source := range c.sources {
		all[name] = source
	}
	return all
}

// emit writes the values of one row for one instance.
func (r *row) emit(ch chan<- prometheus.Metric, desc *prometheus.Desc, instance string, s *sample) {
	if r.when != nil && !r.when(s) {
		return
	}
	switch {
	case r.counter != nil:
		ch <- prometheus.MustNewConstMetric(desc, r.kind(), r.counter(s), instance)
	case r.gauge != nil:
		ch <- prometheus.MustNewConstMetric(desc, r.kind(), r.gauge(s), instance)
	case r.histogram != nil:
		h := r.histogram(s)
		buckets := make(map[float64]uint64, len(h.Bounds))
		below := uint64(0)
		for i, bound := range h.Bounds {
			below += h.Counts[i]
			buckets[bound] = below
		}
		ch <- prometheus.MustNewConstHistogram(desc, h.Count, h.Sum, buckets, instance)
	default:
		r.family(s, func(label string, count float64) {
			ch <- prometheus.MustNewConstMetric(desc, r.kind(), count, instance, label)
		})
	}
}

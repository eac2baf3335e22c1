package serve

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/pipeline"
)

const mimeJSON = "application/json"

// otlp takes OTLP logs, as protobuf or JSON. Loki gets them as a push, with the
// labels and the structured metadata that its own endpoint makes of them.
func (s *Server) otlp(w http.ResponseWriter, r *request) error {
	var unmarshal func([]byte) (plog.Logs, error)
	switch r.media {
	case mimeJSON:
		unmarshal = unmarshalJSON
	case "application/x-protobuf":
		unmarshal = unmarshalProto
	default:
		return failf(http.StatusUnsupportedMediaType, "Content-Type %q: OTLP logs come as application/x-protobuf or application/json", r.media)
	}
	p := s.relayed(r)
	p.Raw = func(now int64) ([]byte, bool, error) { return rawFromOTLP(unmarshal, r.decoded, now) }
	return s.pass(w, r, p, s.answerOTLP)
}

// otlpPartsMax bounds the records, attributes and values of a request: each takes some 100 bytes once decoded, and
// as few as two before. It is 10 for each entry of the largest push, 200 MB at worst, and one request's alone.
const otlpPartsMax = 10 * pipeline.RelayEntriesMax

// unmarshalJSON decodes OTLP logs; every part of them begins with a brace.
func unmarshalJSON(body []byte) (plog.Logs, error) {
	if bytes.Count(body, []byte("{")) > otlpPartsMax {
		return plog.Logs{}, tooMany("parts", otlpPartsMax)
	}
	return new(plog.JSONUnmarshaler).UnmarshalLogs(body)
}

// unmarshalProto decodes OTLP logs.
func unmarshalProto(body []byte) (plog.Logs, error) {
	parts := 0
	if countParts(body, otlpRequest, 0, otlpPartsMax, &parts); parts > otlpPartsMax {
		return plog.Logs{}, tooMany("parts", otlpPartsMax)
	}
	return new(plog.ProtoUnmarshaler).UnmarshalLogs(body)
}

// rawFromOTLP writes OTLP logs as a push. What the decoder makes of hostile
// bytes must not end the process.
func rawFromOTLP(unmarshal func([]byte) (plog.Logs, error), body []byte, now int64) (raw []byte, timeless bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("cannot read OTLP logs: %v", p)
		}
	}()
	logs, err := unmarshal(body)
	if err != nil {
		return nil, false, fmt.Errorf("cannot read OTLP logs: %w", err)
	}
	c := otlpConverter{now: now}
	for i := range logs.ResourceLogs().Len() {
		c.resource(logs.ResourceLogs().At(i))
	}
	return c.raw.AppendTo(nil), c.timeless, nil
}

// otlpConverter makes of OTLP logs what Loki's endpoint makes of them by default.
type otlpConverter struct {
	raw      loki.RawPush
	now      int64
	timeless bool
	names    otlptranslator.LabelNamer
	labels   []loki.Label
	resMeta  []loki.Label // of the resource
	meta     []loki.Label
}

// indexed are the attributes of a resource that become labels: Loki's
// default_resource_attributes_as_index_labels.
var indexed = []string{
	"service.name", "service.namespace", "service.instance.id", "deployment.environment", "deployment.environment.name",
	"cloud.region", "cloud.availability_zone", "k8s.cluster.name", "k8s.namespace.name", "k8s.pod.name", "k8s.container.name",
	"container.name", "k8s.replicaset.name", "k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name",
	"k8s.cronjob.name", "k8s.job.name",
}

func (c *otlpConverter) resource(r plog.ResourceLogs) {
	c.labels, c.resMeta = c.labels[:0], c.resMeta[:0]
	named := false
	for key, value := range r.Resource().Attributes().All() {
		if !slices.Contains(indexed, key) {
			c.resMeta = c.attribute(c.resMeta, "", key, value)
			continue
		}
		named = named || key == "service.name" && value.AsString() != ""
		c.labels = c.attribute(c.labels, "", key, value)
	}
	if !named {
		c.labels = append(slices.DeleteFunc(c.labels, func(l loki.Label) bool { return l.Name == "service_name" }),
			loki.Label{Name: "service_name", Value: c.service()})
	}
	// Loki refuses a label without a value; the attribute says nothing then.
	c.labels = slices.DeleteFunc(c.labels, func(l loki.Label) bool { return l.Value == "" })
	stream := c.raw.Stream(string(loki.AppendLabelSet(nil, c.labels)))
	for i := range r.ScopeLogs().Len() {
		c.scope(stream, r.ScopeLogs().At(i))
	}
}

// service names a resource without service.name as Loki does (discover_service_name).
func (c *otlpConverter) service() string {
	for _, name := range [...]string{"container_name", "k8s_container_name", "k8s_job_name"} {
		for i := range c.labels {
			if c.labels[i].Name == name && c.labels[i].Value != "" {
				return c.labels[i].Value
			}
		}
	}
	return "unknown_service"
}

func (c *otlpConverter) scope(stream *loki.RawStream, s plog.ScopeLogs) {
	base := len(c.resMeta)
	scope := s.Scope()
	for key, value := range scope.Attributes().All() {
		c.resMeta = c.attribute(c.resMeta, "", key, value)
	}
	c.resMeta = appendText(c.resMeta, "scope_name", scope.Name())
	c.resMeta = appendText(c.resMeta, "scope_version", scope.Version())
	c.resMeta = appendCount(c.resMeta, "scope_dropped_attributes_count", scope.DroppedAttributesCount())
	for i := range s.LogRecords().Len() {
		c.record(stream, s.LogRecords().At(i))
	}
	c.resMeta = c.resMeta[:base]
}

func (c *otlpConverter) record(stream *loki.RawStream, r plog.LogRecord) {
	at := int64(r.Timestamp())
	meta := c.meta[:0]
	for key, value := range r.Attributes().All() {
		if key != "event_name" || r.EventName() == "" {
			meta = c.attribute(meta, "", key, value)
		}
	}
	switch {
	case at == 0 && r.ObservedTimestamp() != 0:
		at = int64(r.ObservedTimestamp())
	case at == 0:
		at, c.timeless = c.now, true
	case r.ObservedTimestamp() != 0:
		meta = appendText(meta, "observed_timestamp", strconv.FormatInt(int64(r.ObservedTimestamp()), 10))
	}
	if n := r.SeverityNumber(); n != plog.SeverityNumberUnspecified {
		meta = appendText(meta, "severity_number", strconv.Itoa(int(n)))
	}
	meta = appendText(meta, "severity_text", r.SeverityText())
	meta = appendCount(meta, "dropped_attributes_count", r.DroppedAttributesCount())
	meta = appendCount(meta, "flags", uint32(r.Flags()))
	if id := r.TraceID(); !id.IsEmpty() {
		meta = appendText(meta, "trace_id", hex.EncodeToString(id[:]))
	}
	if id := r.SpanID(); !id.IsEmpty() {
		meta = appendText(meta, "span_id", hex.EncodeToString(id[:]))
	}
	meta = appendText(meta, "event_name", r.EventName())
	meta = append(meta, c.resMeta...)
	stream.Append(at, []byte(r.Body().AsString()), meta)
	c.meta = meta
}

func appendText(dst []loki.Label, name, value string) []loki.Label {
	if value == "" {
		return dst
	}
	return append(dst, loki.Label{Name: name, Value: value})
}

func appendCount(dst []loki.Label, name string, n uint32) []loki.Label {
	if n == 0 {
		return dst
	}
	return append(dst, loki.Label{Name: name, Value: strconv.FormatUint(uint64(n), 10)})
}

// attribute appends an attribute; a map's members become names of their own. One whose name nothing is left of goes.
func (c *otlpConverter) attribute(dst []loki.Label, prefix, key string, value pcommon.Value) []loki.Label {
	if prefix != "" {
		key = prefix + "_" + key
	}
	name, err := c.names.Build(key)
	if err != nil {
		return dst
	}
	if value.Type() == pcommon.ValueTypeMap && len(prefix) < attributePathMax {
		for key, value := range value.Map().All() {
			dst = c.attribute(dst, name, key, value)
		}
		return dst
	}
	return append(dst, loki.Label{Name: name, Value: value.AsString()})
}

// attributePathMax bounds the name that nested attributes grow to; below it a map is one value.
const attributePathMax = 1024

// answerOTLP answers as the protocol says: a status in the body of the request's own kind, and no 500,
// which senders would not try again.
func (s *Server) answerOTLP(w http.ResponseWriter, r *request, a *loki.Answer) {
	status, text := s.statusOf(a)
	if text == "" {
		text = string(a.Body)
	}
	if v := a.Header.Get("Retry-After"); v != "" {
		w.Header().Set("Retry-After", v)
	}
	if status/100 == 2 {
		status, text = http.StatusOK, ""
	}
	s.writeOTLP(w, r.media, status, text)
}

// writeOTLP writes an answer; without a text an empty ExportLogsServiceResponse, else a google.rpc.Status.
func (s *Server) writeOTLP(w http.ResponseWriter, media string, status int, text string) {
	if status == http.StatusInternalServerError {
		status = http.StatusServiceUnavailable
	}
	var body []byte
	if media == mimeJSON {
		w.Header().Set("Content-Type", mimeJSON)
		if body = []byte("{}"); text != "" {
			body = append(append([]byte(`{"message":`), jsonText(text)...), '}')
		}
	} else {
		w.Header().Set("Content-Type", "application/x-protobuf")
		if text != "" {
			body = protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), text)
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

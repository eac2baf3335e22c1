package pipeline

import (
	"errors"
	"fmt"
	"time"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
)

// Path leads to a value in a record: one key per level of nested maps.
type Path []string

// LabelSource says where one label, or one pair of structured metadata, comes from.
type LabelSource struct {
	// Name is the label's name; already valid.
	Name string
	// Path is where its value stands in the record; nil for a Literal.
	Path Path
	// Literal is the value itself where Path is nil.
	Literal string
}

// DropSingleKey says how a record that has one key left becomes a line.
type DropSingleKey uint8

// Values of DropSingleKey, as in Fluent Bit's loki output.
const (
	DropSingleKeyOff DropSingleKey = iota // {"log":"text"}
	DropSingleKeyOn                       // "text", as JSON
	DropSingleKeyRaw                      // text
)

// LineFormat says how a record becomes a line.
type LineFormat uint8

// Values of LineFormat.
const (
	LineJSON LineFormat = iota
	LineKeyValue
)

// Annotate says where the verdict of an anomalous record is written.
type Annotate uint8

// Values of Annotate.
const (
	AnnotateLabels Annotate = iota // labels and structured metadata
	AnnotateLine                   // fields in the line itself, for a Loki without structured metadata
	AnnotateOff                    // scored and counted, shipped as it came
)

// Forward says which records are shipped.
type Forward uint8

// Values of Forward.
const (
	ForwardAll Forward = iota
	ForwardAnomalies
	ForwardSampled
)

// Shape says how a record becomes a Loki entry.
type Shape struct {
	// Labels are the stream's labels, in the order of the options labels and label_keys.
	Labels []LabelSource
	// LabelMap are the sources read from label_map_path.
	LabelMap []LabelSource
	// AutoKubernetesLabels adds every label of the record's kubernetes.labels.
	AutoKubernetesLabels bool
	// Metadata are pairs of structured metadata.
	Metadata []LabelSource
	// MetadataMaps are maps whose pairs all become structured metadata.
	MetadataMaps []Path
	// Remove are keys left out of the line: remove_keys, and every key that labels, label_keys and
	// structured_metadata take a value from, as Fluent Bit's loki does.
	Remove        []Path
	DropSingleKey DropSingleKey
	LineFormat    LineFormat
	// TenantID is where a record's tenant stands; nil: loki.Config.TenantID for all.
	TenantID Path
}

// Config is what a Pipeline needs to know. conf fills it.
type Config struct {
	Engine engine.Config
	Loki   loki.Config
	Shape  Shape
	// Score switches scoring on. Off, the plugin only ships.
	Score    bool
	Annotate Annotate
	Forward  Forward
	// SampleEvery is how many normal records of a template stand for one forwarded, with ForwardSampled.
	SampleEvery int
	// ModelKey is where the key of a record's model stands; nil: Kubernetes namespace and container, else the tag.
	ModelKey Path
	// MessageKeys are tried in order; the first that holds a string is the line to score. None: the whole line.
	MessageKeys []Path
	// FlushTimeout is the deadline of one flush, with all its attempts (option timeout).
	FlushTimeout time.Duration
	// RetryBufferBytes bounds the encoded pushes kept for redelivered chunks (option retry_buffer).
	RetryBufferBytes int64
	// LabelSetsMax bounds the label sets that are remembered, by each flush worker and by the sender
	// (newest time of each stream); option max_label_sets. Reached, some are forgotten and built anew.
	LabelSetsMax int
	// StateFile keeps the learned state between runs; empty: none is kept.
	StateFile string
	// MuteFile is a list of findings that must not be raised, see ReadMutes; empty: none.
	MuteFile string
	// StateInterval is how often the state file is written.
	StateInterval time.Duration
	// Observer is shown what is scored; nil: nobody.
	Observer Observer
}

// Defaults that are not the engine's or the sender's own.
const (
	// FlushTimeoutDefault stays under Fluent Bit's Grace of 5 s: shutdown joins the flush before any exit call.
	FlushTimeoutDefault = 4 * time.Second
	// RetryBufferBytesDefault holds some 300 chunks of 2 MB, compressed.
	RetryBufferBytesDefault = 32 << 20
	// StateIntervalDefault bounds what a crash forgets.
	StateIntervalDefault = 5 * time.Minute
	// LabelSetsMaxDefault is twice the streams that one Loki tenant may have by default; about 500 bytes each and worker.
	LabelSetsMaxDefault = 10_000
	// SampleEveryDefault keeps 1% of what is normal.
	SampleEveryDefault = 100
)

// DefaultConfig returns the defaults; Loki.URL is still to be set.
func DefaultConfig() Config {
	sender := loki.DefaultConfig()
	sender.FallbackLabel = loki.Label{Name: "job", Value: "fluent-bit"} // as Fluent Bit's loki
	return Config{
		Engine:           engine.DefaultConfig(),
		Loki:             sender,
		Shape:            Shape{DropSingleKey: DropSingleKeyRaw, Labels: []LabelSource{{Name: "job", Literal: "fluent-bit"}}},
		Score:            true,
		SampleEvery:      SampleEveryDefault,
		MessageKeys:      []Path{{"log"}, {"message"}, {"msg"}, {"MESSAGE"}},
		FlushTimeout:     FlushTimeoutDefault,
		RetryBufferBytes: RetryBufferBytesDefault,
		LabelSetsMax:     LabelSetsMaxDefault,
		StateInterval:    StateIntervalDefault,
	}
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	var errs []error
	if c.FlushTimeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout %v: must be above 0", c.FlushTimeout))
	}
	if c.RetryBufferBytes < 0 {
		errs = append(errs, fmt.Errorf("retry_buffer %d: must not be negative", c.RetryBufferBytes))
	}
	if c.LabelSetsMax < 1 {
		errs = append(errs, fmt.Errorf("max_label_sets %d: must be at least 1", c.LabelSetsMax))
	}
	if c.StateFile != "" && c.StateInterval <= 0 {
		errs = append(errs, fmt.Errorf("state_interval %v: must be above 0", c.StateInterval))
	}
	if c.Forward == ForwardSampled && c.SampleEvery < 1 {
		errs = append(errs, fmt.Errorf("sample_every %d: must be at least 1", c.SampleEvery))
	}
	if !c.Score && c.Forward != ForwardAll {
		errs = append(errs, errors.New("forward: only all is possible with score off"))
	}
	if c.Loki.MaxLabels <= ownLabelsMax {
		errs = append(errs, fmt.Errorf("max_labels %d: must be above %d, which logscope itself needs", c.Loki.MaxLabels, ownLabelsMax))
	}
	errs = append(errs, c.Engine.Validate(), c.Loki.Validate())
	return errors.Join(errs...)
}
